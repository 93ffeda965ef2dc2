"""Temporary keys of the doctor, known only to this process: valid ones for a minute, and announced bad ones.

They are never in the database, and leave no trace there: no use, no line in the audit trail. Whoever can request one
has access to the control socket, and so could have created a lasting key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from swim_server.concurrency.clock import Clock, utc_now
from swim_server.keys.format import Tier, generate, hint
from swim_server.keys.records import KeyRecord

MAX_KEYS = 25_000
MAX_ANNOUNCED = 100
MAX_SECONDS = 600.0
OWNER = "swimctl doctor"
_FIRST_ID = -1_000_000_000
"""Ids in the database are never this low."""


def is_probe_id(key_id: int) -> bool:
    """Tell whether a key id belongs to one of these."""
    return key_id <= _FIRST_ID


class Probes:
    """The current temporary keys. Bounded; expired ones are dropped when the next one is created."""

    def __init__(self, *, clock: Clock, randbytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._randbytes = randbytes
        self._good: dict[bytes, KeyRecord] = {}
        self._by_id: dict[int, bytes] = {}
        self._announced: dict[bytes, datetime] = {}
        self._next_id = _FIRST_ID

    def __len__(self) -> int:
        return len(self._good)

    def make(self, tier: Tier, count: int, seconds: float) -> list[tuple[int, str]]:
        """Create valid keys, each with its id; they expire by themselves. Raises ValueError for too many."""
        now = utc_now(self._clock)
        self.end(record.id for record in list(self._good.values()) if record.is_expired(now))
        if not 0 < count <= MAX_KEYS - len(self._good):
            raise ValueError(f"at most {MAX_KEYS} temporary keys at once, {len(self._good)} are in use")
        expires_at = now + timedelta(seconds=min(seconds, MAX_SECONDS))
        made = []
        for _ in range(count):
            api_key = generate(tier, self._randbytes)
            record = KeyRecord(
                id=self._next_id, hint=hint(api_key), tier=tier, owner_name=OWNER, created_at=now, expires_at=expires_at
            )
            self._next_id -= 1
            digest = sha256(api_key.encode()).digest()
            self._good[digest] = record
            self._by_id[record.id] = digest
            made.append((record.id, api_key))
        return made

    def end(self, key_ids: Iterable[int]) -> None:
        """Revoke valid keys. Idempotent."""
        for key_id in key_ids:
            digest = self._by_id.pop(key_id, None)
            if digest is not None:
                del self._good[digest]

    def find(self, digest: bytes) -> KeyRecord | None:
        """Return the valid key with this digest, even if it has expired."""
        return self._good.get(digest)

    def record(self, key_id: int) -> KeyRecord | None:
        """Return the valid key with this id."""
        digest = self._by_id.get(key_id)
        return None if digest is None else self._good[digest]

    def announce(self, digest: bytes, seconds: float) -> None:
        """Announce a bad key: its refusal is decided like any other, but counts against no address."""
        now = utc_now(self._clock)
        self._announced = {each: until for each, until in self._announced.items() if until > now}
        while len(self._announced) >= MAX_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        self._announced[digest] = now + timedelta(seconds=min(seconds, MAX_SECONDS))

    def is_announced(self, api_key: str | None) -> bool:
        """Tell whether this key is announced as bad."""
        if not self._announced or not api_key:
            return False
        until = self._announced.get(sha256(api_key.encode(errors="surrogatepass")).digest())
        return until is not None and until > utc_now(self._clock)
