"""Decides whether a key may connect: caches decisions, coalesces lookups, never admits a key that was not looked up."""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol, TypeVar

from swim_server.concurrency.circuit_breaker import CircuitBreaker
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock, utc_now
from swim_server.concurrency.worker_pool import WorkerPool
from swim_server.concurrency.yielding import yielding
from swim_server.keys.authenticator_status import AuthenticatorStatus
from swim_server.keys.decision_cache import CacheTimes, DecisionCache, Digest
from swim_server.keys.format import classify
from swim_server.keys.lookups import Lookups
from swim_server.keys.permissions import SHAPE_REFUSALS, UNKNOWN_KEY, address_refusal, refusal
from swim_server.keys.probes import Probes, is_probe_id
from swim_server.keys.records import Decision, Granted, KeyRecord, Refused, Unavailable
from swim_server.keys.write_behind import recorder
from swim_server.keys.write_behind.recorder import KeyRecorder
from swim_server.logs import get_logger
from swim_server.sql.errors import StoreError, StoreUnavailable, outage

T = TypeVar("T")
_STALE_AFTER_SECONDS = 1.0
"""How long a client with a cached key waits for a database that does not answer."""
_MOST_LOOKUPS = 3
"""How often a lookup is repeated because keys were changed meanwhile."""
_USE_AGAIN = timedelta(hours=1)
"""A key that only holds old connections counts as used again after this time."""


class Store(recorder.Store, Protocol):
    """What the authenticator needs from the key store. Blocking."""

    def find_many(self, api_keys_presented: Sequence[str]) -> dict[str, KeyRecord]: ...

    def records(self, key_ids: Iterable[int]) -> dict[int, KeyRecord]: ...

    def close(self) -> None: ...


class Authenticator:
    """Decides whether keys are valid. Lives on one event loop; the store's calls run in separate threads."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock = SYSTEM_CLOCK,
        times: CacheTimes = CacheTimes(),
        pool: WorkerPool | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = clock.monotonic
        self._pool = pool or key_worker_pool(clock)
        self.recorder = KeyRecorder(store, self._pool, clock=clock, forget=self.forget)
        self.probes = Probes(clock=clock, randbytes=secrets.token_bytes)
        """The doctor's temporary keys, in memory only."""
        self._cache = DecisionCache(
            good_seconds=times.cache_seconds,
            bad_seconds=times.negative_cache_seconds,
            stale_seconds=times.stale_grace_seconds,
        )
        self._activity = self.recorder.activity
        self._endings = self.recorder.endings
        self._lookups = Lookups(self._find_many)
        self._changes = 0
        """Counts forgotten keys: a lookup that began before the last one is outdated."""
        self._queries = 0
        self._counts = {Granted: 0, Refused: 0, Unavailable: 0}
        self._is_away = False
        """Whether it has been logged that the database is unavailable."""
        self._log = get_logger("keys")

    @property
    def changes(self) -> int:
        """Counts changed keys: a decision made before the last one may be outdated."""
        return self._changes

    # Decisions

    def cached(self, api_key: str | None, address: str | None) -> Decision | None:
        """Decide without asking the database; None if it must be asked. A decision counts as an attempt."""
        decision = self._decide_from_memory(api_key, address)
        return None if decision is None else self._decided(decision, address, api_key)

    def is_remembered(self, api_key: str, address: str | None) -> bool:
        """Tell whether a key was valid when last looked up, not long ago. Uses only the cache; counts no attempt."""
        decision = self._decide_from_memory(api_key, address)
        if decision is None:
            stale = self._cache.stale(_digest(api_key), self._monotonic())
            decision = self._judge(stale, address) if stale is not None else None
        return isinstance(decision, Granted)

    async def authenticate(self, api_key: str | None, address: str | None) -> Decision:
        """Decide about a key. Never raises: any error while asking is Unavailable.

        Between its return and the moment at which the connection can be found by key id there must be no ``await``: a
        revocation in between would miss it.
        """
        decision = self._decide_from_memory(api_key, address)
        if decision is None:
            assert api_key is not None, "a missing key is decided from memory"
            decision = await self._ask(api_key, address)
        return self._decided(decision, address, api_key)

    async def check(self, key_ids: Collection[int]) -> dict[int, KeyRecord | None]:
        """Read the rows of keys that hold connections, in one query; None: the key is gone.

        The same query refreshes cached decisions about other keys. Raises StoreError.
        """
        probes = {key_id: self.probes.record(key_id) for key_id in key_ids if is_probe_id(key_id)}
        asked = set(key_ids) - probes.keys()
        remembered = self._cache.good_ids(self._monotonic())
        ids = asked | remembered
        if not ids:
            return {**probes}
        changes = self._changes
        self._queries += 1
        records = await self.consult(lambda: self._store.records(ids))
        now, moment = utc_now(self._clock), self._monotonic()
        records = {key_id: self._endings.apply(record) for key_id, record in records.items()}
        async for key_id in yielding(ids):
            record = records.get(key_id)
            if changes == self._changes:
                is_good = record is not None and refusal(record, now) is None
                self._cache.refresh(key_id, record, moment, is_good=is_good, is_used=key_id in asked)
            if record is not None and key_id in asked:
                self._use_again(record, now)
        return {**probes, **{key_id: records.get(key_id) for key_id in asked}}

    async def look_up(self, key_ids: Collection[int]) -> dict[int, KeyRecord]:
        """Read rows as they are now, without using or filling the cache. Raises StoreError."""
        found = await self.consult(lambda: self._store.records(key_ids))
        return {key_id: self._endings.apply(record) for key_id, record in found.items()}

    async def consult(self, work: Callable[[], T]) -> T:
        """Run a call of the store in a worker thread. Raises StoreError.

        Logs when the database becomes unavailable and when it is back, not each failed call.
        """
        try:
            result = await self._pool.run(work)
        except StoreError as error:
            if not self._is_away:
                self._is_away = True
                self._log.warning(
                    "keys can't be checked: unknown keys have to wait, cached ones stay valid", reason=str(error)
                )
            raise
        if self._is_away:
            self._is_away = False
            self._log.info("keys can be checked again")
        return result

    # Changed keys

    def forget(self, key_id: int) -> None:
        """Forget the decision about this key, because it was just changed."""
        self._changes += 1
        self._cache.forget(key_id)

    def forget_all(self) -> None:
        """Forget all decisions."""
        self._changes += 1
        self._cache.forget_all()

    def as_ended(self, record: KeyRecord) -> KeyRecord:
        """Apply an ending that the database has not stored yet."""
        return self._endings.apply(record)

    # Use of keys

    def touch(self, key_id: int) -> None:
        """Note that a key is in use; ``last_used_at`` is written with the next batch."""
        if not is_probe_id(key_id):
            self._activity.use(key_id)

    def note_refusal(self, refused: Refused, address: str | None) -> None:
        """Record in the audit trail that a connection was refused for a reason other than its key (a limit)."""
        if refused.key_id is None or not is_probe_id(refused.key_id):
            self._activity.refuse(refused, address, utc_now(self._clock))

    async def close(self) -> None:
        """Write what is pending if the database answers, and release the threads and connections."""
        await self._lookups.close()
        if not self._pool.breaker.is_open and await self.recorder.flush():
            await self.consult(self._store.close)
        self._pool.close()

    def status(self) -> AuthenticatorStatus:
        """Return the status for ``swimctl status`` and the metrics."""
        since = self._pool.breaker.problem_since
        return AuthenticatorStatus(
            problem=self._pool.breaker.problem,
            problem_seconds=None if since is None else self._monotonic() - since,
            writing_problem=self.recorder.problem,
            not_stored=self._endings.key_ids,
            cached=len(self._cache),
            pending=self._pool.waiting,
            queries=self._queries,
            granted=self._counts[Granted],
            refused=self._counts[Refused],
            unavailable=self._counts[Unavailable],
        )

    # Internals

    def _decide_from_memory(self, api_key: str | None, address: str | None) -> Decision | None:
        if refused := SHAPE_REFUSALS.get(classify(api_key)):
            return refused
        assert api_key is not None, "a missing key has a shape refusal"
        digest = _digest(api_key)
        if self.probes and (probe := self.probes.find(digest)) is not None:
            return self._judge(probe, address)
        answer = self._cache.fresh(digest, self._monotonic())
        return None if answer is None else self._judge(answer.record, address)

    async def _ask(self, api_key: str, address: str | None) -> Decision:
        """Wait for the lookup of this key, which another caller may have begun; use cached decisions if it fails."""
        digest = _digest(api_key)
        stale = self._cache.stale(digest, self._monotonic())
        waiter = self._lookups.begin(digest, api_key)
        done, _ = await asyncio.wait([waiter], timeout=None if stale is None else _STALE_AFTER_SECONDS)
        try:
            if done:
                return self._judge(waiter.result(), address)
            reason = "no answer yet"
        except StoreError as error:
            reason = error.reason if isinstance(error, StoreUnavailable) else str(error)
        except Exception:  # noqa: BLE001 - our own bug, logged by _find_many: nobody gets in by it, nothing else breaks
            reason = "an internal error"
        stale = self._cache.stale(digest, self._monotonic())
        return Unavailable(reason) if stale is None else self._judge(stale, address)

    async def _find_many(self, api_keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        """Look up presented keys and cache the decisions; repeat if keys were changed meanwhile."""
        for _ in range(_MOST_LOOKUPS):
            changes = self._changes
            self._queries += 1
            try:
                found = await self.consult(lambda: self._store.find_many(api_keys))
            except StoreError:
                raise
            except Exception as error:
                # As text: a renderer that shows local variables would reveal the keys.
                self._log.error("keys could not be looked up", exception="".join(traceback.format_exception(error)))
                raise
            if changes == self._changes:
                self._remember(api_keys, found)
                return found
        raise StoreUnavailable("keys are changing faster than they can be read")

    def _remember(self, api_keys: Iterable[str], found: Mapping[str, KeyRecord]) -> None:
        now, moment = utc_now(self._clock), self._monotonic()
        for api_key in api_keys:
            record = found.get(api_key)
            is_good = record is not None and refusal(record, now) is None
            self._cache.remember(_digest(api_key), record, moment, is_good=is_good)

    def _judge(self, record: KeyRecord | None, address: str | None) -> Decision:
        """Judge a record at this moment: a cached one also expires on time."""
        if record is None:
            return UNKNOWN_KEY
        record = self._endings.apply(record)
        return refusal(record, utc_now(self._clock)) or address_refusal(record, address) or Granted(record)

    def _decided(self, decision: Decision, address: str | None, api_key: str | None) -> Decision:
        self._counts[type(decision)] += 1
        if isinstance(decision, Granted):
            self.touch(decision.key.id)
        elif isinstance(decision, Refused) and not self.probes.is_announced(api_key):
            self.note_refusal(decision, address)
        return decision

    def _use_again(self, record: KeyRecord, now: datetime) -> None:
        if record.last_used_at is None or now - record.last_used_at >= _USE_AGAIN:
            self._activity.use(record.id)


def key_worker_pool(clock: Clock, *, timeout_seconds: float = 5) -> WorkerPool:
    """Return the worker pool through which the key database is used."""
    return WorkerPool(
        CircuitBreaker(clock=clock),
        unavailable=StoreUnavailable,
        problem_of=outage,
        name="keys",
        timeout_seconds=timeout_seconds,
    )


def _digest(api_key: str) -> Digest:
    return sha256(api_key.encode()).digest()
