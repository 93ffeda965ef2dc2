"""Makes the paths of a configuration absolute: a daemon outlives the folder that it was started in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swim_server.config.places import At, places

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", re.DOTALL)


def make_absolute(values: dict[str, Any], folder_of: Callable[[At], Path]) -> None:
    """Make every path absolute, in place, from the folder that its place counts from; ``~`` is the user's home."""
    for path, rule, holder, key in places(values):
        if rule == "path":
            holder[key] = _absolute(holder[key], folder_of(path))
        elif rule in ("database_url", "tables_database_url") and (match := _SQLITE.fullmatch(holder[key])) is not None:
            holder[key] = match[1] + _absolute(match[2], folder_of(path)) + match[3]


def _absolute(text: str, folder: Path) -> str:
    return str(folder / Path(text).expanduser())
