"""Standard input, output and error: replaced if closed by the parent, and writable whatever the locale's character set.

Light on imports: this runs before anything else.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # "typing" is most of what "swimctl --help" would import
    from typing import TextIO

PLAIN_ERRORS = "swimctl.plain"
"""Encoding error handler: our own symbols become plain characters, anything else a question mark."""
JSON_ERRORS = "swimctl.json"
"""Encoding error handler: JSON escapes, which every reader understands."""
ORNAMENTS = {
    "→": ">", "…": "~", "—": "-", "–": "-", "●": "*", "○": "o", "◐": "o", "✓": "+", "✗": "x", "•": "*", "─": "-",
    "│": "|", "━": "-", "╸": "-", "╺": "-", "└": "`", "├": "|", "«": '"', "»": '"', "’": "'", "“": '"', "”": '"',
    "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "#", "▎": "#", "▏": "#", "▁": "_", "▂": "_", "▃": "-",
    "▄": "-", "▅": "=", "▆": "=", "▇": "#", "⠋": "*", "×": "x", "·": ".",
}  # fmt: skip

closed: set[int] = set()
"""Which of 0, 1 and 2 were closed when this process began. Set by ``fill``."""


def fill() -> None:
    """Open the null device for each of descriptors 0 to 2 that is closed, before a file or a socket gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def fall_back_to_plain() -> None:
    """Replace characters that the locale's character set lacks with plain ones, on output and error."""
    for stream in (sys.stdout, sys.stderr):
        set_errors(stream, PLAIN_ERRORS)


def set_errors(stream: TextIO, errors: str) -> None:
    """Set what happens to characters that a stream's character set lacks. UTF-8 lacks none."""
    if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") not in ("utf8", "utf8sig"):
        stream.reconfigure(errors=errors)


def write_problem(stream: TextIO) -> str | None:
    """Return why nothing can be written, if that can be known without writing; None: no problem is known.

    Even an empty write fails on a full device, a read-only one, and a closed descriptor.
    """
    try:
        os.write(stream.fileno(), b"")
    except io.UnsupportedOperation:
        return None  # no descriptor behind it
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "it is closed"
    return None


def discard_output() -> None:
    """Discard what is still in standard output's buffer, so that the interpreter reports nothing at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError), "it is registered for writing"
    text = "".join(ORNAMENTS.get(character, "?") for character in error.object[error.start : error.end])
    return text, error.end


def _as_json(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError), "it is registered for writing"
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(PLAIN_ERRORS, _plainly)
codecs.register_error(JSON_ERRORS, _as_json)
