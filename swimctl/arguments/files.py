"""Files that are named on the command line: one that is missing is not found (5), one that can't be used fails (1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swimctl.errors import CommandFailed, NotFound


@contextmanager
def told_with_its_name(path: Path | str, next_step: str | None = None) -> Iterator[None]:
    """Raise what the system says about a file as NotFound or CommandFailed, with its name."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", next_step) from None
    except IsADirectoryError:
        raise CommandFailed(f"{path} is a folder, not a file", next_step) from None
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror or error}", next_step) from None
