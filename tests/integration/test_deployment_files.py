"""What is shipped for a container and for Azure's App Service: run, or held against the code, without either."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.proxy import free_port
from support.wire_client import dial
from swim_server.config.parse_value import setting_names

from swimctl.command_table import ENTRIES

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "config" / "container" / "Containerfile").read_text("utf-8")
STARTUP = ROOT / "config" / "azure" / "startup.sh"
GRACE_SECONDS = 30
"""As the startup script advises for WEBSITES_CONTAINER_STOP_TIME_LIMIT."""


def instruction(name: str) -> str:
    """The last instruction of this name, lines joined."""
    return str(re.findall(rf"^{name} (.+)$", CONTAINERFILE.replace("\\\n", " "), re.MULTILINE)[-1]).strip()


def test_the_container_runs_as_an_unprivileged_user_and_stops_gracefully() -> None:
    user = instruction("USER")
    assert re.search(rf"useradd .*--uid (?!0\b)\d+ .*\b{user}\b", CONTAINERFILE), "a user of its own, not root"
    assert CONTAINERFILE.rindex("USER ") < CONTAINERFILE.rindex("\nCMD ")
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_the_containers_commands_and_settings_exist() -> None:
    command = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
    check = json.loads(re.sub(r"^.*?CMD ", "", instruction("HEALTHCHECK")))
    assert command == ["swimctl", "serve"]
    assert check[0] == "swimctl" and check[1] in ENTRIES
    settings = set(setting_names())
    for name in re.findall(r"SWIM_(\w+__\w+)=", instruction("ENV")):
        assert name.lower().replace("__", ".") in settings, name


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """The environment of an App Service, with its folders elsewhere."""
    (tmp_path / "home" / "site" / "wwwroot").mkdir(parents=True)
    antenv = tmp_path / "home" / "site" / "wwwroot" / "antenv" / "bin"
    antenv.mkdir(parents=True)
    command = antenv / "swimctl"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m swimctl "$@"\n')
    command.chmod(0o755)
    paths = (ROOT, ROOT / "server", ROOT / "sdk" / "python")
    return {
        "HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "PORT": str(free_port()),
        "WEBSITE_INSTANCE_ID": "0123456789abcdef", "SWIM_HOME": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)), "LANG": "C.UTF-8",
    }  # fmt: skip


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def test_the_startup_script_serves_on_the_given_port_and_ends_within_the_grace(site: dict[str, str]) -> None:
    service = subprocess.Popen(["bash", str(STARTUP)], env=site, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not answers(int(site["PORT"])):
            assert service.poll() is None and time.monotonic() < deadline, "it does not serve"
            await asyncio.sleep(0.05)
        keys = [sys.executable, "-m", "swimctl", "keys", "create", "--tier", "developer", "--owner", "a", "--json"]
        made = await asyncio.to_thread(subprocess.run, keys, env=site, capture_output=True, check=True)
        url = f"ws://127.0.0.1:{site['PORT']}/api/swim/v1/ws"
        async with dial(url, json.loads(made.stdout)["api_key"]) as client:
            began = time.monotonic()
            service.send_signal(signal.SIGTERM)
            assert (await client.closed())[0] == 1012
        assert await asyncio.to_thread(service.wait, GRACE_SECONDS) == 0
        assert time.monotonic() - began < GRACE_SECONDS
        log = Path(site["HOME"]) / "LogFiles" / "swim-01234567.log"
        assert "connected" in log.read_text("utf-8")
    finally:
        service.kill()
        service.wait()
        assert service.stdout is not None
        service.stdout.close()


def test_without_an_installed_command_the_startup_script_says_what_to_do(site: dict[str, str]) -> None:
    (Path(site["HOME"]) / "site" / "wwwroot" / "antenv" / "bin" / "swimctl").unlink()
    done = subprocess.run(["bash", str(STARTUP)], env=site, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "no swimctl in" in done.stderr and "SCM_DO_BUILD_DURING_DEPLOYMENT" in done.stderr
