"""Settings from several places merged, each value with its origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swim_server.config.errors import DEFAULT, Origin

Path = tuple[str | int, ...]


class Layers:
    """Plain TOML values, and where each comes from. What is merged later wins."""

    def __init__(self, defaults: Mapping[str, object]) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Path, Origin] = {}
        """By path, for tables as well as values; what isn't here has its parent's origin."""
        self.merge(defaults, always(DEFAULT))

    def merge(self, values: Mapping[str, object], origin: Callable[[Path], Origin]) -> None:
        """Merge values over the existing ones: tables are merged, everything else, including lists, is replaced."""
        self._merge(self.values, values, (), origin)

    def origin(self, path: Path) -> Origin:
        """Return where the value at a path, or the table that contains it, comes from."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return DEFAULT

    def _merge(
        self, below: dict[str, Any], above: Mapping[str, object], path: Path, origin: Callable[[Path], Origin]
    ) -> None:
        for key, value in above.items():
            here = (*path, key)
            standing = below.get(key)
            if isinstance(value, Mapping) and (isinstance(standing, dict) or standing is None):
                self.origins.setdefault(here, origin(here))
                if standing is None:
                    self._forget(here)
                    self.origins[here] = origin(here)
                below[key] = dict(standing or {})
                self._merge(below[key], value, here, origin)
            else:
                self._forget(here)
                self._note(value, here, origin)
                below[key] = value

    def _note(self, value: object, path: Path, origin: Callable[[Path], Origin]) -> None:
        self.origins[path] = origin(path)
        items: Any = value.items() if isinstance(value, Mapping) else ()
        for key, item in enumerate(value) if isinstance(value, list) else items:
            self._note(item, (*path, key), origin)

    def _forget(self, path: Path) -> None:
        if path in self.origins:  # what stands in it is noted with it
            for known in [known for known in self.origins if known[: len(path)] == path]:
                del self.origins[known]


def always(origin: Origin) -> Callable[[Path], Origin]:
    """Return a function that gives every value this origin."""
    return lambda _: origin


def dotted(path: Path) -> str:
    """Return a path as people write it: ``tiers.public.connections``, ``sources[0].path``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
