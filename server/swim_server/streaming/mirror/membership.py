"""Which entries of the world pass some filters, updated with each event for all groups with these filters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from swim_server.protocol.events import Event
from swim_server.protocol.position_batch import PositionBatch
from swim_server.protocol.positions import POSITION_TYPES, POSITIONS

if TYPE_CHECKING:
    from swim_server.protocol.filters import Filters
    from swim_server.state.kinds import Key, Kind
    from swim_server.state.world import Change, Entries, World
    from swim_server.streaming.match import Match
    from swim_server.streaming.mirror.airport_index import AirportIndex


class Crossing(NamedTuple):
    """How one event changed which entries pass some filters."""

    entered: Sequence[tuple[Entries, Key]] = ()
    """Pass now, and did not before."""
    stale: Sequence[tuple[Entries, Key]] = ()
    """Passed before and now, but were changed by an event that does not pass the filters by itself."""
    left: Sequence[tuple[Entries, Key]] = ()
    """Passed before and do not now: changed, or ended."""
    ended: Sequence[tuple[Entries, Key]] = ()
    """Those of them that the event itself has ended: clients that get the event know."""

    def __bool__(self) -> bool:
        return bool(self.entered or self.stale or self.left)


NO_CROSSING = Crossing()


class Touched:
    """The entries that one event concerned, as they are after it: collected once for all filters."""

    def __init__(self, event: Event, changes: Sequence[Change], world: World) -> None:
        self.event = event
        self.changes = changes
        self.world = world
        self.match: Match[Any] | None = None
        """The same event on its way to the groups. Set by the hub."""
        self._rows: PositionBatch | None = None

    def rows(self, keys: Sequence[Key | None]) -> PositionBatch:
        """Return the flights of a batch as they are now, in its order."""
        if self._rows is None:
            by_key = self.world.flights.by_key
            positions = [by_key.get(key) if key is not None else None for key in keys]
            self._rows = PositionBatch(Event(self.event.id, POSITIONS, b"", {"positions": positions}))
        return self._rows

    def selected(self, filters: Filters) -> int:
        """Return the positions of the batch itself that pass the filters."""
        return self.match.selected(filters) if self.match is not None else 0


class Membership:
    """The keys of all entries that pass the filters. Without filters everything does, and no keys are kept."""

    def __init__(self, filters: Filters, world: World, index: AirportIndex | None = None) -> None:
        """Use ``index`` to find flights; without it all of them are searched."""
        self.filters = filters
        self.users = 0
        """Number of groups with these filters."""
        self._inside: dict[str, set[Key]] = {}
        self._crossing = NO_CROSSING
        self._judged: Event | None = None
        for name, entries in world.kinds.items() if filters else ():
            self._inside[name] = set(passing(filters, entries, index if entries is world.flights else None))

    def inside(self, entries: Entries) -> Collection[Key]:
        """Return the keys of a kind's entries that pass."""
        return self._inside[entries.kind.name] if self.filters else entries.by_key.keys()

    def judge(self, touched: Touched) -> Crossing:
        """Process an event; returns the same result however often it is called."""
        if self._judged is touched.event:
            return self._crossing
        self._judged, self._crossing = touched.event, NO_CROSSING
        for change in touched.changes:
            entries = touched.world.kinds[change.kind.name]
            found = self._judge_change(entries, change, touched)
            if found:
                self._crossing = Crossing(*(a + b for a, b in zip(map(tuple, self._crossing), found, strict=True)))
        return self._crossing

    def _judge_change(
        self, entries: Entries, change: Change, touched: Touched
    ) -> tuple[tuple[tuple[Entries, Key], ...], ...] | None:
        keys, is_end = change.keys, touched.event.type in entries.kind.ends
        if not self.filters:
            return self._judge_everything(entries, change, touched, is_end=is_end)
        inside = self._inside[entries.kind.name]
        before = sum([1 << place for place, key in enumerate(keys) if key in inside])
        if touched.event.type == POSITIONS:
            now, passed = touched.rows(keys).select(self.filters), touched.selected(self.filters)
        else:
            entry = entries.by_key.get(keys[0]) if keys[0] is not None else None
            now = int(entry is not None and self.filters.passes(_type_of(entries.kind), entry))
            passed = int(self.filters.passes(touched.event.type, touched.event.data))
        if not before and not now:
            return None
        entered, left = _chosen(entries, keys, now & ~before), _chosen(entries, keys, before & ~now)
        inside.update(key for _, key in entered)
        inside.difference_update(key for _, key in left)
        stale = _chosen(entries, keys, before & now & ~passed)
        return entered, stale, left, left if is_end else ()

    def _judge_everything(
        self, entries: Entries, change: Change, touched: Touched, *, is_end: bool
    ) -> tuple[tuple[tuple[Entries, Key], ...], ...] | None:
        """Return the crossings without filters: entries opened by a position, which may be left out, and ended ones."""
        opened = change.opened if touched.event.type in POSITION_TYPES else ()
        entered = tuple((entries, key) for key in opened if key in entries.by_key)
        gone = tuple((entries, key) for key in change.keys if key is not None) if is_end else ()
        return (entered, (), gone, gone) if entered or gone else None


def passing(filters: Filters, entries: Entries, index: AirportIndex | None = None) -> Iterator[Key]:
    """Return the entries of a kind that pass; ``index`` finds those that concern an airport."""
    event_type, by_key = _type_of(entries.kind), entries.by_key
    if index is not None and filters.airports:
        return (key for key in index.candidates(filters.airports) if filters.passes(event_type, by_key[key]))
    return (key for key, entry in by_key.items() if filters.passes(event_type, entry))


def passes(filters: Filters, entries: Entries, key: Key) -> bool:
    """Tell whether the entry exists and passes the filters."""
    entry = entries.by_key.get(key)
    return entry is not None and filters.passes(_type_of(entries.kind), entry)


def _type_of(kind: Kind) -> str:
    """Return a type of the kind's family to which the same filters apply, and which is not a batch."""
    return f"{kind.family}.state"


def _chosen(entries: Entries, keys: Sequence[Key | None], selection: int) -> tuple[tuple[Entries, Key], ...]:
    if not selection:
        return ()
    found = {key: None for place, key in enumerate(keys) if selection >> place & 1 and key is not None}
    return tuple((entries, key) for key in found)
