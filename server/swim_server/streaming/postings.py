"""Groups by the codes that they are looked up by."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.streaming.group import Group


class Postings:
    """Which groups stand under which code. A code with a single group costs no container: most have one."""

    __slots__ = ("_by_code",)

    def __init__(self) -> None:
        self._by_code: dict[Hashable, Group | dict[Group, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_code)

    def add(self, group: Group, codes: Iterable[Hashable]) -> None:
        """Put a group under each of the codes, each given once."""
        for code in codes:
            found = self._by_code.get(code)
            if found is None:
                self._by_code[code] = group
            elif isinstance(found, dict):
                found[group] = None
            else:
                self._by_code[code] = {found: None, group: None}

    def remove(self, group: Group, codes: Iterable[Hashable]) -> None:
        """Take a group away from each of the codes that it was put under."""
        for code in codes:
            found = self._by_code[code]
            if isinstance(found, dict) and len(found) > 1:
                del found[group]
            else:
                del self._by_code[code]

    def load(self, codes: Iterable[Hashable]) -> int:
        """How many groups stand under the fullest of the codes."""
        return max((self._size(code) for code in codes), default=0)

    def _size(self, code: Hashable) -> int:
        found = self._by_code.get(code)
        return 0 if found is None else len(found) if isinstance(found, dict) else 1

    def collect(self, codes: Collection[Hashable], into: dict[Group, None]) -> None:
        """Add every group that stands under one of the codes."""
        by_code = self._by_code
        if len(codes) > len(by_code):
            codes = by_code.keys() & set(codes)
        for code in codes:
            found = by_code.get(code)
            if isinstance(found, dict):
                into.update(found)
            elif found is not None:
                into[found] = None

    def collect_all(self, into: dict[Group, None]) -> None:
        """Add every group."""
        self.collect(self._by_code.keys(), into)
