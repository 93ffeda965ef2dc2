"""Decides about keys in a worker: by asking the primary, which alone reads the key database."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Collection
from hashlib import sha256
from typing import TYPE_CHECKING

from swim_server.gateway.rpc import RpcError
from swim_server.keys.records import Decision, Granted, KeyRecord, Refused, Unavailable
from swim_server.keys.write_behind.endings import Ending, Endings
from swim_server.sql.errors import StoreUnavailable
from swim_server.workers import messages
from swim_server.workers.link import Link, LinkLost
from swim_server.workers.messages import KeyIds, LimitRefusal, Presented

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock

REMEMBERED_SECONDS = 300.0
MAX_REMEMBERED = 20_000
MAX_REDEEMED = 1000
MOST_QUESTIONS = 3
"""How often a decision is asked for again because keys were changed meanwhile."""
TICKET = "ticket "
"""Begins what stands for a ticket in place of a key. No key contains a space."""
GONE = "the primary process is gone"


class Announced:
    """Bad keys that doctor has announced, as the primary's answers say."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        """Return 0: the primary evicts doctor's clients, wherever they are."""
        return 0

    def add(self, api_key: str) -> None:
        """Remember one."""
        self._digests[_digest(api_key)] = None
        while len(self._digests) > MAX_REDEEMED:
            self._digests.popitem(last=False)

    def is_announced(self, api_key: str | None) -> bool:
        """Tell whether this key is announced as bad."""
        return bool(self._digests) and api_key is not None and _digest(api_key) in self._digests


class WorkerTickets:
    """Tickets for browsers: the primary has issued them and redeems them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def redeem(self, ticket: str) -> str:
        """Return what stands for the ticket, for this client alone, until the primary is asked."""
        return f"{TICKET}{next(self._numbers)} {ticket}"


class WorkerAuthenticator:
    """Asks the primary about every key."""

    def __init__(self, link: Link, *, clock: Clock) -> None:
        self.probes = Announced()
        self.changes = 0
        """Counts changed keys: a decision asked for before the last one may be outdated."""
        self._link = link
        self._monotonic = clock.monotonic
        self._good: OrderedDict[bytes, tuple[KeyRecord, float]] = OrderedDict()
        """Digests of keys that were valid: their rows, and until when that is remembered."""
        self._redeemed: OrderedDict[str, str] = OrderedDict()
        """The keys that tickets stood for: a client that is decided about again has no other."""
        self._endings = Endings()

    # Decisions (KeyDecisions).

    def cached(self, api_key: str, address: str) -> Decision | None:
        """Return None: the primary must be asked."""
        return None

    def is_remembered(self, api_key: str, address: str | None) -> bool:
        """Tell whether a key was valid not long ago."""
        found = self._good.get(_digest(api_key))
        return found is not None and self._monotonic() < found[1]

    async def authenticate(self, api_key: str, address: str) -> Decision:
        """Decide about a key. Never raises: without an answer it is Unavailable.

        Any ``changed`` after the decision was made has been counted in ``changes`` or is still to come.
        """
        for _ in range(MOST_QUESTIONS):
            before = self.changes
            decision = await self._ask(api_key, address)
            if before == self.changes or not isinstance(decision, Granted):
                return decision
        return Unavailable("keys are changing faster than they can be read")

    async def _ask(self, api_key: str, address: str) -> Decision:
        presented = Presented(_encodable(api_key), address)
        if api_key.startswith(TICKET):
            known = self._redeemed.get(api_key)
            presented = Presented(known or "", address, None if known else api_key.split(" ", 2)[2])
        try:
            decided = await self._link.ask(messages.AUTHENTICATE, presented)
        except LinkLost:
            return Unavailable(GONE)
        except RpcError as error:  # a bug there, which it has logged
            return Unavailable(error.message)
        if decided.is_announced:
            self.probes.add(api_key)
        if decided.granted is not None:
            record = self._remember(decided.api_key or presented.api_key, decided.granted)
            if presented.ticket is not None and decided.api_key:
                self._redeemed[api_key] = decided.api_key
                while len(self._redeemed) > MAX_REDEEMED:
                    self._redeemed.popitem(last=False)
            return Granted(record)
        return decided.refused or decided.unavailable or Unavailable("no decision")

    def _remember(self, api_key: str, record: KeyRecord) -> KeyRecord:
        """Remember a key's row; return the object that all of its clients share while the row stays the same."""
        digest = _digest(api_key)
        known = self._good.get(digest)
        if known is not None and known[0] == record:
            record = known[0]
        self._good[digest] = record, self._monotonic() + REMEMBERED_SECONDS
        self._good.move_to_end(digest)
        while len(self._good) > MAX_REMEMBERED:
            self._good.popitem(last=False)
        return record

    def touch(self, key_id: int) -> None:
        """Do nothing: the primary has noted the use when it decided."""

    def note_refusal(self, refused: Refused, address: str | None) -> None:
        """Record in the audit trail that a connection was refused for a reason other than its key."""
        self._link.tell(messages.LIMIT_REFUSAL, LimitRefusal(refused, address))

    # Changed keys (WatchedKeys).

    async def check(self, key_ids: Collection[int]) -> dict[int, KeyRecord | None]:
        """Read the rows of keys that hold connections; None: the key is gone. Raises StoreError."""
        try:
            found = await self._link.ask(messages.CHECK_KEYS, KeyIds(list(key_ids)))
        except LinkLost:
            raise StoreUnavailable(GONE) from None
        return found.rows

    def forget(self, key_id: int) -> None:
        """Forget the decisions about this key, because it was just changed."""
        self.changes += 1
        for digest in [digest for digest, (each, _) in self._good.items() if each.id == key_id]:
            del self._good[digest]

    def forget_all(self) -> None:
        """Forget all decisions."""
        self.changes += 1
        self._good.clear()

    def as_ended(self, record: KeyRecord) -> KeyRecord:
        """Apply an ending that the database has not stored yet."""
        return self._endings.apply(record)

    def end(self, ending: Ending) -> None:
        """Note an ending that the database has not stored yet."""
        self._endings.add(ending)


def _encodable(api_key: str) -> str:
    """Return a key without what is no character, which no valid key has."""
    return api_key.encode(errors="replace").decode()


def _digest(api_key: str) -> bytes:
    return sha256(api_key.encode(errors="surrogatepass")).digest()


def decided(decision: Decision) -> messages.Decided:
    """Describe a decision for a worker."""
    if isinstance(decision, Granted):
        return messages.Decided(granted=decision.key)
    if isinstance(decision, Refused):
        return messages.Decided(refused=decision)
    return messages.Decided(unavailable=decision)
