"""The database's answers about keys, cached for a while. Pure; keys are identified by their digests only."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from swim_server.keys.records import KeyRecord

Digest = bytes


class Answer(msgspec.Struct, frozen=True):
    """The database's answer about a key at one moment."""

    record: KeyRecord | None
    """None: the key is unknown."""
    at: float
    is_good: bool
    """Whether the key was valid; valid ones are cached for long, all others for seconds."""


class CacheTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long decisions are remembered."""

    cache_seconds: float = 300
    """How long a key that was granted is not looked up again."""
    negative_cache_seconds: float = 5
    """The same for a key that was refused."""
    stale_grace_seconds: float = 3600
    """How much longer a granted key is accepted while the database does not answer."""


class DecisionCache:
    """Two bounded caches, so that a flood of bad keys can't displace the valid ones."""

    def __init__(
        self,
        *,
        good_seconds: float,
        bad_seconds: float,
        stale_seconds: float,
        good_limit: int = 50_000,
        bad_limit: int = 10_000,
    ) -> None:
        self.good_seconds = good_seconds
        self.bad_seconds = bad_seconds
        self.stale_seconds = stale_seconds
        """How long after ``good_seconds`` a valid answer may still be used while the database is unavailable."""
        self.good_limit = good_limit
        self.bad_limit = bad_limit
        self._good: OrderedDict[Digest, Answer] = OrderedDict()
        self._bad: OrderedDict[Digest, Answer] = OrderedDict()
        self._digests: dict[int, Digest] = {}
        """Digests of the valid ones, by key id."""

    def __len__(self) -> int:
        return len(self._good) + len(self._bad)

    def fresh(self, digest: Digest, now: float) -> Answer | None:
        """Return an answer that is recent enough to be used without asking."""
        answer = self._good.get(digest)
        if answer is not None:
            return answer if now - answer.at < self.good_seconds else None
        answer = self._bad.get(digest)
        return answer if answer is not None and now - answer.at < self.bad_seconds else None

    def stale(self, digest: Digest, now: float) -> KeyRecord | None:
        """Return a valid answer that may be used while the database is unavailable."""
        answer = self._good.get(digest)
        if answer is None or now - answer.at >= self.good_seconds + self.stale_seconds:
            return None
        return answer.record

    def remember(self, digest: Digest, record: KeyRecord | None, now: float, *, is_good: bool) -> None:
        """Cache an answer; the oldest one is dropped if there are too many."""
        self._drop(digest)
        answer = Answer(record, now, is_good)
        if is_good and record is not None:
            self._good[digest] = answer
            self._digests[record.id] = digest
            if len(self._good) > self.good_limit:
                self._drop(next(iter(self._good)))
        else:
            self._bad[digest] = answer
            if len(self._bad) > self.bad_limit:
                self._bad.popitem(last=False)

    def refresh(self, key_id: int, record: KeyRecord | None, now: float, *, is_good: bool, is_used: bool) -> None:
        """Update the cached answer about a key, if there is one, with the result of a query by ids.

        Only an answer about a key that holds connections (``is_used``) becomes recent again.
        """
        digest = self._digests.get(key_id)
        if digest is None:
            return
        if record is not None and record.fingerprint is not None and record.fingerprint.sha256 != digest:
            self._drop(digest)  # the row now holds another key
            return
        self.remember(digest, record, now if is_used else self._good[digest].at, is_good=is_good)

    def forget(self, key_id: int) -> None:
        """Drop the answer about a key, and all bad ones: one of them may be about this key before it was created."""
        digest = self._digests.get(key_id)
        if digest is not None:
            self._drop(digest)
        self._bad.clear()

    def forget_all(self) -> None:
        """Drop everything."""
        self._good.clear()
        self._bad.clear()
        self._digests.clear()

    def good_ids(self, now: float) -> set[int]:
        """Return the ids of keys whose valid answers may still be used; drop the others."""
        limit = self.good_seconds + self.stale_seconds
        for digest in [digest for digest, answer in self._good.items() if now - answer.at >= limit]:
            self._drop(digest)
        return set(self._digests)

    def _drop(self, digest: Digest) -> None:
        self._bad.pop(digest, None)
        answer = self._good.pop(digest, None)
        if answer is not None and answer.record is not None and self._digests.get(answer.record.id) == digest:
            del self._digests[answer.record.id]
