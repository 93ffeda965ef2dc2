"""The clients that the suite knows: how to build each and which command runs its adapter."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SDK = Path(__file__).parents[2]
ADAPTERS = SDK / "conformance" / "adapters"


class Unavailable(Exception):
    """A client can't be run here."""

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        self.advice = advice
        super().__init__(what, advice)

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


def _python() -> Sequence[str]:
    return [sys.executable, str(ADAPTERS / "python_sdk.py")]


CLIENTS: Mapping[str, Callable[[], Sequence[str]]] = {"python": _python}
"""The SDKs by name; each returns the words of its adapter's command, or raises Unavailable."""


def program(name: str, package: str) -> str:
    """Return the path of a program. Raises Unavailable."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed", f"apt-get install {package}")
    return found
