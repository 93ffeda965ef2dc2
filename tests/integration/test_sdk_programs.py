"""Whole programs, each in its own process, as a consumer would write and run them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.documents import document
from support.scripted_server import ScriptedServer
from support.sdk import KEY

SDK = Path(__file__).parents[2] / "sdk/python"

LISTENS = """
from swim_client import SWIMClient
client = SWIMClient('{key}', debug=True)
@client.on('connected')
def on_conn(info, ts): print(f'SUCCESS: {{info.client_id}}', flush=True)
@client.on('flight.departed')
def on_departure(event, ts): print(event.callsign, flush=True)
client.subscribe(['flight.departed'])
client.run()
print('after run', flush=True)
"""
IS_REFUSED = """
from swim_client import SWIMClient
client = SWIMClient('invalid_key', debug=True)
client.subscribe(['flight.departed'])
client.run()
"""
BLOCKS = """
import time
from swim_client import SWIMClient
client = SWIMClient('{key}')
@client.on('connected')
def on_conn(info, ts):
    print('blocking', flush=True)
    time.sleep(1)
client.subscribe(['flight.departed'])
client.run()
"""


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@asynccontextmanager
async def program(server: ScriptedServer, *arguments: str, cwd: Path | None = None) -> AsyncIterator[Process]:
    environment = {**os.environ, "PYTHONPATH": str(SDK), "SWIM_URL": server.url, "SWIM_API_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=PIPE, stderr=PIPE, env=environment, cwd=cwd
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


async def rest(process: Process) -> tuple[str, str]:
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    return output.decode(), errors.decode()


async def test_a_program_listens_and_ctrl_c_ends_it_cleanly(server: ScriptedServer) -> None:
    async with program(server, "-c", LISTENS.format(key=KEY)) as process:
        assert await line(process) == "SUCCESS: client_0000000000000001"
        await server.connections[0].sent("subscribe")
        await server.publish(callsign="AAL1")
        assert await line(process) == "AAL1"
        process.send_signal(signal.SIGINT)
        output, errors = await rest(process)
        await asyncio.wait_for(server.connections[0].closed.wait(), 5)
    assert process.returncode == 0
    assert output == "after run\n"
    assert "Traceback" not in errors
    assert "connecting to ws://127.0.0.1" in errors
    assert KEY not in errors
    close = server.connections[0].socket.protocol.close_rcvd
    assert close is not None
    assert close.code == 1000


async def test_a_refused_key_ends_the_program_and_the_last_line_says_so(server: ScriptedServer) -> None:
    server.refusals.append(("AUTH_FAILED", 4001, "Invalid or missing API key"))
    async with program(server, "-c", IS_REFUSED) as process:
        output, errors = await rest(process)
    assert process.returncode == 1
    assert output == ""
    last = errors.strip().splitlines()[-1]
    assert last.startswith("swim_client.errors.AuthenticationError: the key was refused (4001): go away.")
    assert errors.count("Traceback") == 1
    assert errors[errors.index("Traceback") :].count("File ") == 2, "the program's line and run(), nothing else"
    assert "invalid_key" not in errors.replace("client = SWIMClient('invalid_key', debug=True)", "")


async def test_ctrl_c_while_a_handler_blocks_ends_it_when_the_handler_lets_it(server: ScriptedServer) -> None:
    async with program(server, "-c", BLOCKS.format(key=KEY)) as process:
        assert await line(process) == "blocking"
        process.send_signal(signal.SIGINT)
        _, errors = await rest(process)
    assert process.returncode == 0
    assert "Traceback" not in errors


async def test_ctrl_c_while_it_waits_for_a_server_ends_it(server: ScriptedServer) -> None:
    script = LISTENS.format(key=KEY).replace("debug=True", "url='ws://127.0.0.1:1/', debug=True")
    async with program(server, "-c", script) as process:
        assert process.stderr is not None
        while b"can't connect" not in await asyncio.wait_for(process.stderr.readline(), 20):
            pass
        process.send_signal(signal.SIGINT)
        output, errors = await rest(process)
    assert process.returncode == 0
    assert output == "after run\n"
    assert "Traceback" not in errors


async def test_without_any_key_a_program_is_told_where_to_put_one(server: ScriptedServer) -> None:
    script = "import os; os.environ['SWIM_API_KEY'] = ''" + IS_REFUSED.replace("'invalid_key', ", "")
    async with program(server, "-c", script) as process:
        _, errors = await rest(process)
    assert process.returncode == 1
    assert "set SWIM_API_KEY" in errors.splitlines()[-1]


FLIGHT = {"callsign": "AAL1", "dep": "KJFK", "arr": "KLAX"}
POSITION = {**FLIGHT, "latitude": 40.5, "longitude": -73.1, "altitude_ft": 35000, "groundspeed_kts": 450}
POSITIONS = {"count": 1, "positions": [{**POSITION, "heading_deg": 9, "vertical_rate_fpm": None}]}
GROUND_STOP = {"program_id": 7, "program_type": "GS", "airport": "KJFK", "reason": "weather"}


@pytest.mark.parametrize(
    ("arguments", "event_type", "data", "expected"),
    [
        ("basic_example.py", "flight.departed", FLIGHT, "AAL1     departed KJFK for KLAX"),
        (f"basic_example.py {KEY}", "flight.arrived", FLIGHT, "AAL1     arrived at KLAX from KJFK"),
        ("airport_monitor.py kjfk", "flight.departed", {**FLIGHT, "arr": None}, "AAL1     departed KJFK for ????"),
        (f"airport_monitor.py {KEY} KLAX", "flight.arrived", FLIGHT, "AAL1     arrived at KLAX from KJFK"),
        ("position_tracker.py AAL", "flight.positions", POSITIONS, "40.5000  -73.1000  35000 ft  450 kt 009 level"),
        ("tmi_monitor.py", "tmi.issued", GROUND_STOP, "issued   GS KJFK ? to ? weather"),
    ],
)
async def test_each_example_prints_what_happens_and_ends_with_ctrl_c(
    server: ScriptedServer, tmp_path: Path, arguments: str, event_type: str, data: dict[str, object], expected: str
) -> None:
    example, *more = arguments.split()
    async with program(server, str(SDK / "examples" / example), *more, cwd=tmp_path) as process:
        assert "client_0000000000000001" in await line(process)
        await server.connections[0].sent("subscribe")
        await server.publish(event_type, **data)
        assert expected in await line(process)
        process.send_signal(signal.SIGINT)
        _, errors = await rest(process)
    assert process.returncode == 0, errors
    assert errors == ""


async def test_the_examples_end_with_1_and_the_reason_when_the_key_is_refused(server: ScriptedServer) -> None:
    for example in sorted((SDK / "examples").glob("*.py")):
        server.refusals.append(("AUTH_FAILED", 4001, "expired"))
        arguments = ["KJFK"] if example.name == "airport_monitor.py" else []
        async with program(server, str(example), *arguments) as process:
            _, errors = await rest(process)
        assert process.returncode == 1
        assert "the key was refused" in errors
        assert "Traceback" not in errors


@pytest.mark.parametrize("page", ["README.md", "sdk/python/README.md"])
async def test_the_program_of_a_readme_listens_and_a_revoked_key_ends_it_without_a_traceback(
    server: ScriptedServer, page: str
) -> None:
    code = next(block for block in document(page).blocks("python") if "client.run()" in block)
    async with program(server, "-u", "-c", re.sub(r'SWIMClient\("[^"]+"\)', f'SWIMClient("{KEY}")', code)) as process:
        connection = await server.connection(0)
        await connection.sent("subscribe")
        await server.publish(callsign="AAL1", dep="KJFK", arr="EGLL")
        assert "AAL1 KJFK -> EGLL" in await line(process)
        await connection.send({"type": "error", "code": "AUTH_FAILED", "message": "The API key is not active."})
        await connection.close(4001, "The API key is not active.")
        output, errors = await rest(process)
    assert process.returncode == 0, errors
    assert output.startswith("the key was refused (4001): The API key is not active.")
    assert "Traceback" not in errors
