"""Files named on the command line: a missing one is exit code 5 (not found), an unusable one exit code 1 (failed)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swimctl.errors import CommandFailed, NotFound


@contextmanager
def told_with_its_name(path: Path | str, next_step: str | None = None) -> Iterator[None]:
    """Turn an OSError about a file into NotFound or CommandFailed that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", next_step) from None
    except IsADirectoryError:
        raise CommandFailed(f"{path} is a folder, not a file", next_step) from None
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror or error}", next_step) from None
