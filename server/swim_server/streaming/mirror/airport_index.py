"""The entries of a kind by aerodrome, so that a client that asks for a few need not have all of them searched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from swim_server.protocol.predicates import PATTERN_MARK, airports_of

if TYPE_CHECKING:
    from swim_server.state.kinds import Key
    from swim_server.state.world import Entries

_PATTERNS = PATTERN_MARK
"""The key of entries whose codes are patterns: any airport may match them."""


class AirportIndex:
    """An index updated when it is used; in between it only notes which entries have changed."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._by_code: dict[str, dict[Key, None]] = {}
        self._codes: dict[Key, frozenset[str]] = {}
        self._changed: set[Key | None] = set(entries.by_key)

    def touch(self, keys: Iterable[Key | None]) -> None:
        """Note entries that were opened, changed or ended."""
        self._changed.update(keys)

    def candidates(self, codes: Collection[str]) -> Iterator[Key]:
        """Return the keys of all entries that concern one of these aerodromes, or may, each once."""
        if self._changed:
            self._refresh()
        found: dict[Key, None] = {}
        for code in (*codes, _PATTERNS):
            found.update(self._by_code.get(code, ()))
        return iter(found)

    def _refresh(self) -> None:
        changed, self._changed = self._changed, set()
        for key in changed:
            if key is None:
                continue
            entry = self._entries.by_key.get(key)
            now = frozenset(map(_posting, airports_of(entry))) if entry is not None else frozenset()
            before = self._codes.get(key, frozenset())
            if now == before:
                continue
            for code in before - now:
                del self._by_code[code][key]
                if not self._by_code[code]:
                    del self._by_code[code]
            for code in now - before:
                self._by_code.setdefault(code, {})[key] = None
            if now:
                self._codes[key] = now
            else:
                del self._codes[key]


def _posting(code: str) -> str:
    return _PATTERNS if PATTERN_MARK in code else code
