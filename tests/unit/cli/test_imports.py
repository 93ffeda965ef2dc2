"""What commands import, as users wait for it before anything happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = "import sys; known = set(sys.modules); {work}; print(*sorted(set(sys.modules) - known), file=sys.stderr)"


def imported(work: str) -> set[str]:
    """The modules that some code imports, beside those that are there at an interpreter's start."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(work=work)], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], [], ["--version"]], ids=["help", "nothing", "version"])
def test_main_page_and_version_import_nothing_but_what_they_show(words: list[str]) -> None:
    work = f"sys.argv[1:] = {words}; from swimctl.__main__ import main\ntry: main()\nexcept SystemExit: pass\nsys"
    work = f"exec({work!r})"
    assert {each for each in imported(work) if not each.startswith("swim")} <= {"__future__", "gc", "io"}


def test_short_commands_load_neither_the_settings_nor_the_library_of_websockets() -> None:
    found = imported("import swimctl.client.unix_connection, swimctl.commands.status, swimctl.commands.tail")
    found |= imported("import swimctl.client.control, swimctl.client.event_stream, swimctl.live.ending")
    tops = {each.partition(".")[0] for each in found}
    assert tops.isdisjoint({"websockets", "sqlalchemy", "rich", "importlib_metadata"})
    assert "swim_server.config.settings" not in found
