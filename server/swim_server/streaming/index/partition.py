"""A part of the index: the groups that select the same event types, by the values of their filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from swim_server.protocol.filters import excluded_kinds
from swim_server.protocol.predicates import fits
from swim_server.streaming.index.grid import cells_at, cells_of

if TYPE_CHECKING:
    from swim_server.protocol.filters import Filters
    from swim_server.streaming.index.event_keys import Searchable
    from swim_server.streaming.subscription import Subscription


class Subscribed(Hashable, Protocol):
    """What the index holds: groups, or anything else with a subscription."""

    @property
    def subscription(self) -> Subscription:
        """Its channels and filters; constant while it is in the index."""


K = TypeVar("K", bound=Subscribed)


class InvertedIndex(Generic[K]):
    """Groups by code. A code with a single group, as most have, needs no container."""

    __slots__ = ("_by_code",)

    def __init__(self) -> None:
        self._by_code: dict[Hashable, K | dict[K, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_code)

    def add(self, group: K, codes: Iterable[Hashable]) -> None:
        """Add a group under each of the codes, each given once."""
        for code in codes:
            found = self._by_code.get(code)
            if found is None:
                self._by_code[code] = group
            elif isinstance(found, dict):
                found[group] = None
            else:
                self._by_code[code] = {found: None, group: None}

    def remove(self, group: K, codes: Iterable[Hashable]) -> None:
        """Remove a group from each of the codes that it was added under."""
        for code in codes:
            found = self._by_code[code]
            if isinstance(found, dict) and len(found) > 1:
                del found[group]
            else:
                del self._by_code[code]

    def load(self, codes: Iterable[Hashable]) -> int:
        """Return how many groups are under the fullest of the codes."""
        return max((self._size(code) for code in codes), default=0)

    def _size(self, code: Hashable) -> int:
        found = self._by_code.get(code)
        return 0 if found is None else len(found) if isinstance(found, dict) else 1

    def collect(self, codes: Collection[Hashable], into: dict[K, None]) -> None:
        """Add to ``found`` every group under one of the codes."""
        by_code = self._by_code
        if len(codes) > len(by_code):
            codes = by_code.keys() & set(codes)
        for code in codes:
            found = by_code.get(code)
            if isinstance(found, dict):
                into.update(found)
            elif found is not None:
                into[found] = None

    def collect_fitting(self, patterns: Iterable[str], into: dict[K, None]) -> None:
        """Add to ``found`` every group under a code that matches one of the patterns; looks at every code."""
        for pattern in patterns:
            self.collect([code for code in self._by_code if fits(pattern, (str(code),))], into)

    def collect_all(self, into: dict[K, None]) -> None:
        """Add every group to ``found``."""
        self.collect(self._by_code.keys(), into)


MAX_CODES = 300
"""A group is not indexed by a kind with more values: it would match most events anyway."""
FEW_GROUPS = 8
"""Up to this many groups are candidates without looking at the event."""

_KINDS = ("callsign_prefix", "airports", "bbox", "firs", "artccs", "phase")
"""Kinds by which a group may be indexed, in order of preference."""


class Partition(Generic[K]):
    """Groups, each under one kind of its filters: the one whose codes have the fewest groups.

    Groups whose filters have no value to look up are candidates for every event.
    """

    def __init__(self, types: frozenset[str], *, few_groups: int = FEW_GROUPS) -> None:
        self.types = types
        self._few_groups = few_groups
        excluded = excluded_kinds(next(iter(types)))
        self._kinds = tuple(kind for kind in _KINDS if kind not in excluded)
        self._postings: dict[str, InvertedIndex[K]] = {kind: InvertedIndex() for kind in self._kinds}
        self._open: dict[K, None] = {}
        self._placed: dict[K, tuple[str, Collection[Hashable]]] = {}
        self._prefix_lengths: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._open or self._placed)

    def add(self, group: K) -> None:
        """Add a group."""
        place = self._choose(group.subscription.filters)
        if place is None:
            self._open[group] = None
            return
        kind, codes = self._placed[group] = place
        self._postings[kind].add(group, codes)
        if kind == "callsign_prefix":
            self._prefix_lengths.update(len(str(code)) for code in codes)

    def remove(self, group: K) -> None:
        """Remove a group that was added."""
        place = self._placed.pop(group, None)
        if place is None:
            del self._open[group]
            return
        kind, codes = place
        self._postings[kind].remove(group, codes)
        if kind == "callsign_prefix":
            self._prefix_lengths -= Counter(len(str(code)) for code in codes)

    def _choose(self, filters: Filters) -> tuple[str, Collection[Hashable]] | None:
        chosen: tuple[str, Collection[Hashable]] | None = None
        smallest: int | None = None
        for kind in self._kinds if filters else ():
            if kind == "phase" and chosen is not None:
                break  # many events name none, which then says nothing
            codes = _codes(filters, kind)
            if codes and len(codes) <= MAX_CODES:
                load = self._postings[kind].load(codes)
                if smallest is None or load < smallest:
                    chosen, smallest = (kind, codes), load
        return chosen

    def collect(self, event: Searchable, into: dict[K, None]) -> None:
        """Add to ``found`` every group that may pass the event."""
        into.update(self._open)
        if len(self._placed) <= self._few_groups:
            into.update(dict.fromkeys(self._placed))
            return
        for kind, postings in self._postings.items():
            if postings:
                self._collect_by(kind, postings, event, into)

    def _collect_by(self, kind: str, postings: InvertedIndex[K], event: Searchable, into: dict[K, None]) -> None:
        match kind:
            case "callsign_prefix":
                postings.collect(self._prefixes(event), into)
            case "airports":
                codes = event.airports
                postings.collect(codes, into)
                if patterns := event.patterns(codes):
                    postings.collect_fitting(patterns, into)
            case "bbox":
                postings.collect(cells_at(event.places), into)
            case "firs":
                codes = event.firs
                postings.collect(codes, into)
                if patterns := event.patterns(codes):
                    postings.collect_fitting(patterns, into)
            case "artccs":
                postings.collect(event.artccs, into)
            case "phase":
                if "" in event.phases:  # an event without a phase passes every phase filter
                    postings.collect_all(into)
                else:
                    postings.collect(event.phases, into)

    def _prefixes(self, event: Searchable) -> set[str]:
        """Yield every beginning of a callsign that is as long as one of the prefixes."""
        return {callsign[:length] for callsign in event.callsigns for length in self._prefix_lengths}


def _codes(filters: Filters, kind: str) -> Collection[Hashable]:
    match kind:
        case "callsign_prefix":
            return filters.callsign_prefixes
        case "airports":
            return filters.airports
        case "bbox":
            return cells_of(filters.bbox) if filters.bbox is not None else ()
        case "firs":
            return filters.firs
        case "artccs":
            return filters.artccs
        case "phase":
            return filters.phases
    raise AssertionError(f"there is no kind {kind}")
