"""``swimctl`` and ``python -m swimctl``."""

from __future__ import annotations

import gc
import os
import sys

from swimctl import standard_streams


def main() -> None:
    """Run the command line and exit with its code."""
    standard_streams.fill()
    standard_streams.fall_back_to_plain()
    words = sys.argv[1:]
    if os.environ.get("_SWIMCTL_COMPLETE", "").startswith("complete"):
        from swimctl.completion.answer import complete

        sys.exit(complete())
    if "_SWIMCTL_COMPLETE" not in os.environ:
        # Answered before anything heavy is imported: help must appear at once.
        if words in ([], ["--help"], ["-h"], ["help"]):
            sys.exit(_show_overview())
        if words == ["--version"]:
            from swim_server import __version__

            sys.exit(_print(f"swimctl {__version__}\n"))
    gc.disable()  # nothing that imports create is garbage
    from swimctl.app import run

    gc.freeze()
    gc.enable()
    code = run(words)
    gc.freeze()  # the interpreter's last collection would look at everything, to free what ends anyway
    sys.exit(code)


def _show_overview() -> int:
    from swimctl.help_style import TextStyle
    from swimctl.overview import overview

    return _print(overview(_columns(), style=TextStyle.of(sys.stdout, os.environ)))


def _columns() -> int:
    """Return the terminal's width like ``shutil.get_terminal_size``, without importing ``shutil`` and its archive
    formats.
    """
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        standard_streams.discard_output()
    except OSError as error:
        standard_streams.discard_output()
        sys.stderr.write(f"error: standard output can't be written: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    main()
