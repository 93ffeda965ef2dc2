"""What commands import, as users wait for it before anything happens."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.key_store_contract import OPERATOR, new_key
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import DatabaseConfig
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore

SHOW = "import sys; known = set(sys.modules); {work}; print(*sorted(set(sys.modules) - known), file=sys.stderr)"


def imported(work: str, environ: Mapping[str, str] | None = None) -> set[str]:
    """The modules that some code imports, beside those that are there at an interpreter's start."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(work=work)], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, **(environ or {})},
    )  # fmt: skip
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


def test_doctor_on_a_sqlite_home_reads_its_keys_without_sqlalchemy_and_writes_json_without_rich(tmp_path: Path) -> None:
    store = KeyStore(
        open_database(DatabaseConfig(), tmp_path / "swim.db"), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes
    )
    store.create(new_key(), OPERATOR)
    store.close()
    report = tmp_path / "report.json"
    work = (
        f"sys.argv[1:] = ['doctor', '--json']; sys.stdout = open({str(report)!r}, 'w'); "
        "from swimctl.__main__ import main\ntry: main()\nexcept SystemExit: sys.stdout.flush()"
    )
    found = imported(f"exec({work!r})", {"SWIM_HOME": str(tmp_path), "SWIM_CONFIG": ""})
    status = {each["id"]: each["status"] for each in json.loads(report.read_text())["checks"]}
    assert (status["database.writable"], status["keys.hashed"], status["keys.as-written"]) == ("ok", "ok", "ok")
    tops = {each.partition(".")[0] for each in found}
    assert tops.isdisjoint({"sqlalchemy", "alembic", "rich", "packaging", "aiohttp", "uvloop", "structlog", "tarfile"})
