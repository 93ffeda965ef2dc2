"""The state of the world at the position of the live stream, and what of it is sent to which clients."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from swim_server.concurrency.yielding import yielding
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.positions import POSITIONS
from swim_server.state import messages
from swim_server.state.kinds import FLIGHTS
from swim_server.streaming.mirror.airport_index import AirportIndex
from swim_server.streaming.mirror.membership import Membership, Touched, passes, passing
from swim_server.streaming.mirror.mirror import Mirror
from swim_server.streaming.mirror.state_parts import StateParts

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.events import Event
    from swim_server.protocol.filters import Filters
    from swim_server.state.kinds import Key
    from swim_server.state.world import Change, Entries, World
    from swim_server.streaming.subscription import Subscription

MAX_PENDING = 100_000
"""Maximum number of events that wait until the world is loaded; beyond it, it must be loaded up to a later event."""
FEW_ENTRIES = 300
"""Maximum number of entries encoded at once."""
FOLD_FROM = 256
"""Pending events are folded at the latest when there are this many."""
MAX_CACHED_BYTES = 16 * 1024 * 1024
"""Limit of the cached parts, which other clients that ask at the same time share."""


class LiveState:
    """Folds what the hub delivers: at once while a client mirrors the world, otherwise when there is time or need."""

    def __init__(self) -> None:
        self.loaded_world: World | None = None
        """None while it is loading, or nobody has asked for it."""
        self.load_when_wanted: Callable[[], object] | None = None
        """Begins to load the world once somebody asks for it; until then events are not kept for it. None: it is
        loaded, or loading.
        """
        self.touched: Touched | None = None
        """What the newest event of the live stream has changed, while there are memberships."""
        self._pending: deque[Event] = deque()
        self._floor = ZERO
        """A world must be loaded at least up to this id: earlier events no longer wait."""
        self._memberships: dict[Filters, Membership] = {}
        self._parts: dict[tuple[Filters, tuple[str, ...], int, int], StateParts] = {}
        self._parts_bytes = 0
        self._was_asked = False
        self._ready_waiters: list[asyncio.Future[None]] = []
        self._warming = asyncio.Lock()
        self._index: AirportIndex | None = None
        """The index of flights, while clients ask for state."""

    # Folding.

    @property
    def is_ready(self) -> bool:
        """Whether the world is loaded."""
        return self.loaded_world is not None

    @property
    def has_pending(self) -> bool:
        """Whether there are delivered events that have not been folded yet."""
        return bool(self._pending) and self.is_ready

    def begin(self, world: World) -> bool:
        """Continue from a loaded world; False if too much has arrived meanwhile, and it must be loaded again."""
        if world.as_of < self._floor:
            return False
        self._pending = deque(event for event in self._pending if event.id > world.as_of)
        self.loaded_world = world
        waiters, self._ready_waiters = self._ready_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return True

    async def ready(self) -> None:
        """Wait until the world is loaded."""
        if self.load_when_wanted is not None:
            load, self.load_when_wanted = self.load_when_wanted, None
            load()
        if self.loaded_world is None:
            waiter = asyncio.get_running_loop().create_future()
            self._ready_waiters.append(waiter)
            await waiter

    def note(self, event: Event) -> None:
        """Take the next event of the live stream."""
        if self.load_when_wanted is not None:
            self._floor = event.id
            return
        self._pending.append(event)
        self.touched = None
        if self.loaded_world is None:
            if len(self._pending) > MAX_PENDING:
                self._floor = self._pending.popleft().id
        elif self._memberships or len(self._pending) >= FOLD_FROM:
            self._fold_all(self.loaded_world)

    def fold_until(self, deadline: float, monotonic: Callable[[], float]) -> None:
        """Fold pending events until the deadline."""
        world = self.loaded_world
        while world is not None and self._pending:
            self._note_changes(world.fold(self._pending.popleft()))
            if monotonic() >= deadline:
                return

    @property
    def world(self) -> World:
        """Return the world as of the last event of the live stream. Only once it is ready."""
        assert self.loaded_world is not None, "no client is admitted before it is loaded"
        if self._pending:
            self._fold_all(self.loaded_world)
        return self.loaded_world

    def _fold_all(self, world: World) -> None:
        while self._pending:
            event = self._pending.popleft()
            changes = world.fold(event)
            self._note_changes(changes)
        self.touched = Touched(event, changes, world) if changes and self._memberships else None

    def _note_changes(self, changes: Sequence[Change]) -> None:
        if self._index is not None:
            for change in changes:
                if change.kind is FLIGHTS:
                    self._index.touch(change.keys)

    def _airport_index(self, filters: Filters) -> AirportIndex | None:
        """Return the index if it helps with these filters; created on first use."""
        if self._index is None and filters.airports:
            self._index = AirportIndex(self.world.flights)
        return self._index

    # Mirrors of it.

    def mirror(self, subscription: Subscription, catalogue: Catalogue) -> Mirror:
        """Track the state of a new group until the mirror is closed."""
        types = catalogue.expand(subscription.channels)
        membership = self.join(subscription.filters)
        return Mirror(self, membership, types, self.kinds_of(types), catalogue)

    def join(self, filters: Filters) -> Membership:
        """Track which entries pass these filters, for one more group."""
        world = self.world
        found = self._membership(filters)
        if found is None:
            found = self._memberships[filters] = Membership(filters, world, self._airport_index(filters))
        found.users += 1
        return found

    def _membership(self, filters: Filters) -> Membership | None:
        """Return a membership as of the current event, which it may not have processed yet."""
        found = self._memberships.get(filters)
        if found is not None and self.touched is not None:
            found.judge(self.touched)
        return found

    def leave(self, membership: Membership) -> None:
        """Track it for one group less."""
        membership.users -= 1
        if not membership.users:
            del self._memberships[membership.filters]

    # What is sent.

    def kinds_of(self, types: Iterable[str]) -> tuple[str, ...]:
        """Name the kinds of entries for these event types."""
        families = {event_type.partition(".")[0] for event_type in types}
        return tuple(entries.kind.name for entries in self.world.of_families(families))

    def parts(
        self, filters: Filters, types: Iterable[str], *, window_bits: int, max_message_bytes: int
    ) -> StateParts | None:
        """Encode the world for one subscription; None if it is subscribed to no kind."""
        world, kinds = self.world, self.kinds_of(types)
        if not kinds:
            return None
        name = (filters, kinds, window_bits, max_message_bytes)
        found = self._parts.get(name)
        if found is not None and found.as_of == world.as_of:
            return found
        self._drop_old_parts(world.as_of)
        chosen = []
        for entries in (world.kinds[kind] for kind in kinds):
            keys = self.keys(entries, filters)
            chosen.append((entries.kind, [entries.encoded(key) for key in keys]))
        payloads, left_out = messages.parts(chosen, world.as_of, max_message_bytes)
        found = StateParts(world.as_of, payloads, left_out, window_bits)
        if self._parts_bytes + found.size_bytes <= MAX_CACHED_BYTES:
            self._parts[name] = found
            self._parts_bytes += found.size_bytes
        return found

    def keys(self, entries: Entries, filters: Filters) -> Iterable[Key]:
        """Return the keys of a kind's entries that pass the filters now."""
        membership = self._membership(filters)
        self._was_asked = True
        if membership is not None:
            return membership.inside(entries)
        return passing(filters, entries, self._airport_index(filters) if entries.kind is FLIGHTS else None)

    def _drop_old_parts(self, as_of: EventId) -> None:
        if self._parts and next(iter(self._parts.values())).as_of != as_of:
            self._parts.clear()
            self._parts_bytes = 0

    async def warm(self) -> None:
        """Encode what is not encoded yet, in slices, so that the next request for a large state does not delay others.

        If thousands ask at once after a restart, the first one does it for all.
        """
        async with self._warming:
            if self.is_warm:
                return
            for entries in self.world.kinds.values():
                async for key in yielding(list(entries.by_key)):
                    if key in entries.by_key:
                        entries.encoded(key)

    @property
    def is_warm(self) -> bool:
        """Tell whether a state can be written at once."""
        return self.is_ready and sum(entries.cold for entries in self.world.kinds.values()) <= FEW_ENTRIES

    def rest(self) -> None:
        """Free what is only needed for requests, if there was none since the last call."""
        if not self._was_asked and self.loaded_world is not None:
            self._parts.clear()
            self._parts_bytes = 0
            self._index = None
            for entries in self.loaded_world.kinds.values():
                entries.forget_encodings()
        self._was_asked = False

    def corrections(self, mirror: Mirror, touched: Iterable[tuple[str, Key]], event_id: EventId) -> Iterator[bytes]:
        """Encode the current form of entries that changed during a catch-up, which reports no crossings."""
        for name, key in touched:
            entries = self.world.kinds[name]
            if name not in mirror.kinds:
                continue
            if passes(mirror.membership.filters, entries, key):
                yield messages.entered(entries.kind, entries.encoded(key), event_id)
            else:
                yield messages.left(entries.kind, key, event_id)


def keys_in(event: Event, world: World) -> Iterator[tuple[str, Key]]:
    """Return the entries that a stored event concerns: the names of their kinds, and their keys."""
    for entries in world.kinds.values():
        if not entries.kind.takes(event.type):
            continue
        rows = event.data.get("positions") if event.type == POSITIONS else [event.data]
        for row in rows if isinstance(rows, list) else ():
            key = entries.kind.key_of(row) if isinstance(row, dict) else None
            if key is not None:
                yield entries.kind.name, key
