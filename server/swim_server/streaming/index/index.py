"""Finds the groups that may want an event without looking at the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from swim_server.protocol.filters import excluded_kinds
from swim_server.streaming.index.partition import FEW_GROUPS, Section

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.streaming.group import Group
    from swim_server.streaming.index.event_keys import Searchable

MAX_JOINT_SECTIONS = 64
"""So many different sets of event types have a section each; groups with yet another stand in one for each type."""


class Index:
    """Groups by the event types that their channels select, then by what their filters ask for.

    A section is for the groups that select the same types of one class (of which the same filter kinds can be
    judged), so an event looks into few sections, and a group stands in few. Not every candidate passes its filters,
    but every group whose filters an event passes is a candidate.
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
        self._sections: dict[frozenset[str], Section] = {}
        self._by_type: dict[str, dict[Section, None]] = {}
        self._placed: dict[Group, tuple[Section, ...]] = {}

    def add(self, group: Group) -> None:
        """Take a group in."""
        sections = tuple(
            self._section(types)
            for joint in _by_class(self._catalogue.expand(group.subscription.channels)).values()
            for types in self._divide(joint)
        )
        for section in sections:
            section.add(group)
        self._placed[group] = sections

    def remove(self, group: Group) -> None:
        """Take a group out that was added."""
        for section in self._placed.pop(group):
            section.remove(group)
            if not section:
                self._discard(section)

    def candidates(self, event_type: str, event: Searchable) -> dict[Group, None]:
        """Find every group that the event may pass, and few others."""
        found: dict[Group, None] = {}
        for section in self._by_type.get(event_type, ()):
            section.collect(event, found)
        return found

    def _divide(self, joint: frozenset[str]) -> list[frozenset[str]]:
        if joint in self._sections or len(self._sections) < self._max_joint_sections:
            return [joint]
        return [frozenset({event_type}) for event_type in joint]

    def _section(self, types: frozenset[str]) -> Section:
        section = self._sections.get(types)
        if section is None:
            section = self._sections[types] = Section(types, few_groups=self._few_groups)
            for event_type in types:
                self._by_type.setdefault(event_type, {})[section] = None
        return section

    def _discard(self, section: Section) -> None:
        if self._sections.pop(section.types, None) is None:
            return
        for event_type in section.types:
            sections = self._by_type[event_type]
            del sections[section]
            if not sections:
                del self._by_type[event_type]


def _by_class(types: frozenset[str]) -> Mapping[frozenset[str], frozenset[str]]:
    """The types by the filter kinds that can't be judged on them."""
    classes: dict[frozenset[str], set[str]] = {}
    for event_type in types:
        classes.setdefault(excluded_kinds(event_type), set()).add(event_type)
    return {excluded: frozenset(members) for excluded, members in classes.items()}
