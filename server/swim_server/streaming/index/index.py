"""Finds the groups that may want an event without looking at the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic

from swim_server.protocol.filters import excluded_kinds
from swim_server.streaming.index.partition import FEW_GROUPS, K, Partition

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.streaming.index.event_keys import Searchable

MAX_JOINT_SECTIONS = 64
"""How many different sets of event types get a partition of their own; other groups are in one partition per type."""


class Index(Generic[K]):
    """Groups by the event types that their channels select, then by the values of their filters.

    A partition is for the groups that select the same types of one class (to which the same filter kinds apply), so an
    event is looked up in few partitions, and a group is in few. Not every candidate passes an event, but every group
    that does is a candidate.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        max_joint_sections: int = MAX_JOINT_SECTIONS,
        few_groups: int = FEW_GROUPS,
    ) -> None:
        self._catalogue = catalogue
        self._max_joint_sections = max_joint_sections
        self._few_groups = few_groups
        self._partitions: dict[frozenset[str], Partition[K]] = {}
        self._by_type: dict[str, dict[Partition[K], None]] = {}
        self._placed: dict[K, tuple[Partition[K], ...]] = {}

    def add(self, group: K) -> None:
        """Add a group."""
        partitions = tuple(
            self._partition(types)
            for joint in _by_class(self._catalogue.expand(group.subscription.channels)).values()
            for types in self._divide(joint)
        )
        for partition in partitions:
            partition.add(group)
        self._placed[group] = partitions

    def remove(self, group: K) -> None:
        """Remove a group that was added."""
        for partition in self._placed.pop(group):
            partition.remove(group)
            if not partition:
                self._discard(partition)

    def candidates(self, event_type: str, event: Searchable) -> dict[K, None]:
        """Return every group that may pass the event, and few others."""
        found: dict[K, None] = {}
        for key in self._catalogue.keys(event_type):
            for partition in self._by_type.get(key, ()):
                partition.collect(event, found)
        return found

    def _divide(self, joint: frozenset[str]) -> list[frozenset[str]]:
        if joint in self._partitions or len(self._partitions) < self._max_joint_sections:
            return [joint]
        return [frozenset({event_type}) for event_type in joint]

    def _partition(self, types: frozenset[str]) -> Partition[K]:
        partition = self._partitions.get(types)
        if partition is None:
            partition = self._partitions[types] = Partition(types, few_groups=self._few_groups)
            for event_type in types:
                self._by_type.setdefault(event_type, {})[partition] = None
        return partition

    def _discard(self, partition: Partition[K]) -> None:
        if self._partitions.pop(partition.types, None) is None:
            return
        for event_type in partition.types:
            partitions = self._by_type[event_type]
            del partitions[partition]
            if not partitions:
                del self._by_type[event_type]


def _by_class(types: frozenset[str]) -> Mapping[frozenset[str], frozenset[str]]:
    """Group the types by the filter kinds that don't apply to them."""
    classes: dict[frozenset[str], set[str]] = {}
    for event_type in types:
        classes.setdefault(excluded_kinds(event_type), set()).add(event_type)
    return {excluded: frozenset(members) for excluded, members in classes.items()}
