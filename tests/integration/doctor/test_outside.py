"""What doctor finds out from outside: about our service, and about faulty endpoints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from support.scripted_server import ScriptedConnection, ScriptedServer
from swim_client.opening import ApiKey, NotOpened, Opener

from swimctl.doctor.catalogue import all_checks
from swimctl.doctor.check import Result
from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.run import run_checks
from swimctl.invocation import Invocation

OUTSIDE = {
    "front.dns", "front.tcp", "front.certificate", "front.upgrade", "front.key-header", "front.answers", "front.clock",
    "keys.made-up-refused",
}  # fmt: skip


async def look(
    url: str, api_key: str | None, home: Path, *, is_deep: bool = False, seconds: float = 30
) -> dict[str, Result]:
    """Run what can be asked from outside."""
    invocation = Invocation(environ={"SWIM_HOME": str(home)})
    options = Options(url=url, api_key=api_key, timeout_seconds=seconds, is_deep=is_deep)
    context = DoctorContext(invocation, options)
    checks = [check for check in all_checks() if check.is_outside and (is_deep or not check.is_deep)]
    try:
        return {result.id: result for result in await run_checks(checks, context)}
    finally:
        await context.close()


def well(results: dict[str, Result]) -> set[str]:
    return {id for id, result in results.items() if result.status == "ok"}


class GuardedAddress(ScriptedServer):
    """The former service: no ids, no resume; its clock is right. Lets in whoever has this key."""

    api_key = "swim_dev_hp_test"
    lets_everybody_in = False

    def _greeting(self, number: int) -> dict[str, Any]:
        greeting = super()._greeting(number)
        greeting["data"]["server_time"] = datetime.now(UTC).isoformat()
        return greeting

    async def _serve(self, socket: Any) -> None:
        key = socket.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.lets_everybody_in and key != self.api_key:
            connection = ScriptedConnection(socket)
            await self._refuse(connection, "AUTH_FAILED", "Invalid API key")
            await socket.close(4001, "Invalid API key")
            return
        await super()._serve(socket)


@contextlib.asynccontextmanager
async def former_service(**switches: Any) -> AsyncIterator[GuardedAddress]:
    door = GuardedAddress()
    door.resumes = False
    for name, value in switches.items():
        setattr(door, name, value)
    async with door:
        yield door


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("outside"), config="[server]\nheartbeat_seconds = 1\n") as found:
        yield found


async def test_our_service_is_well_from_outside(daemon: LiveDaemon, tmp_path: Path) -> None:
    results = await look(daemon.url, daemon.api_key(), tmp_path, is_deep=True)
    assert well(results) == OUTSIDE | {"front.idle"}, results


async def test_former_service_is_well_from_outside(tmp_path: Path) -> None:
    async with former_service() as door:
        results = await look(door.url, door.api_key, tmp_path)
    assert well(results) == OUTSIDE, results


async def test_key_that_is_refused_is_named_and_never_told(daemon: LiveDaemon, tmp_path: Path) -> None:
    api_key = "swim_dev_5up3r53cr3t"
    results = await look(daemon.url, api_key, tmp_path)
    assert results["front.key-header"].status == "fail"
    assert "not known" in results["front.key-header"].observed
    assert api_key not in str(results)


async def test_without_a_key_what_needs_none_is_still_asked(daemon: LiveDaemon, tmp_path: Path) -> None:
    results = await look(daemon.url, None, tmp_path)
    assert well(results) >= {"front.dns", "front.tcp", "keys.made-up-refused"}
    assert results["front.upgrade"].status == "unknown"
    assert str(results["front.upgrade"].command).startswith("SWIM_API_KEY=… swimctl doctor --url ws://")


async def test_door_that_lets_a_made_up_key_in_is_told_loudly(tmp_path: Path) -> None:
    async with former_service(lets_everybody_in=True) as door:
        results = await look(door.url, door.api_key, tmp_path)
    assert (results["keys.made-up-refused"].status, results["keys.made-up-refused"].observed) == (
        "fail",
        "it was ADMITTED",
    )
    assert well(results) == OUTSIDE - {"keys.made-up-refused"}


async def test_door_that_answers_nothing_is_named_by_what_it_leaves_out(tmp_path: Path) -> None:
    async with former_service(answers=set()) as door:
        results = await look(door.url, door.api_key, tmp_path, seconds=10)
    assert results["front.answers"].status == "fail"
    assert "ping: no answer" in results["front.answers"].observed


@pytest.mark.parametrize(
    "greeting", [b"", b"[]", b"null", b"\xff", b'{"type":7}', b'{"type":"connected","data":[]}', b"{" * 5000]
)
async def test_absurd_greeting_breaks_nothing(tmp_path: Path, greeting: bytes) -> None:
    class Absurd(GuardedAddress):
        async def _serve(self, socket: Any) -> None:
            await socket.send(greeting.decode("latin-1"))
            await asyncio.sleep(0.1)

    door = Absurd()
    async with door:
        results = await look(door.url, "swim_dev_x", tmp_path)
    assert "the check itself failed" not in str(results)
    assert results["front.answers"].status in ("fail", "skip")
    assert results["keys.made-up-refused"].status in ("fail", "unknown")


@pytest.mark.parametrize(
    ("url", "check"),
    [("ws://nowhere.invalid/", "front.dns"), ("ws://127.0.0.1:1/", "front.tcp")],
    ids=["no-such-host", "refused"],
)
async def test_address_where_nothing_is_fails_at_its_root(tmp_path: Path, url: str, check: str) -> None:
    results = await look(url, "swim_dev_x", tmp_path)
    assert [id for id, result in results.items() if result.status == "fail"] == [check]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nServer: Apache\r\nContent-Length: 0\r\n\r\n",
            "HTTP 404 from Apache: there is no service at this path",
        ),
        (
            b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n",
            "HTTP 503: the proxy does not reach the service, or it is restarting",
        ),
        (b"", "closed without an answer; a proxy that does not reach the service may do so"),
    ],
    ids=["404", "503-of-an-old-http", "nothing"],
)
async def test_answer_that_is_no_upgrade_is_told(tmp_path: Path, answer: bytes, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        results = await look(url, "swim_dev_x", tmp_path)
        with pytest.raises(NotOpened) as refused:
            await Opener(url, ApiKey("swim_dev_x")).open()
    assert results["front.upgrade"].observed.endswith(told)
    assert ("a proxy does not reach the service" in str(refused.value)) == (b"404" not in answer)
