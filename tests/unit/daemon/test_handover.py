"""What old and new process say to each other, and in which order."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pytest
from swim_server.daemon.handover.channel import VARIABLE, Channel, Offer, PeerClosed, take_offer
from swim_server.daemon.handover.inherited import InheritedProcess
from swim_server.daemon.handover.predecessor import HandoverFailed, _own_program, negotiate, serve_successor
from swim_server.daemon.handover.program import Program
from swim_server.daemon.lockfile import LockInfo
from swim_server.sql.errors import StoreUnavailable
from swim_server.streaming.admission import Admission, TierLimit

INFO = LockInfo(pid=2, process_started=1.0, host="h", started_at="t", version="v", fingerprint="f", url="ws://x")
SERVING = {"type": "serving", "info": msgspec.to_builtins(INFO)}


class ScriptedChannel:
    """Says what the other end is scripted to say; then hangs up, or is silent for ever."""

    def __init__(self, *said: dict[str, Any], is_silent: bool = False) -> None:
        self.script = deque(said)
        self.said: list[dict[str, Any]] = []
        self.is_closed = False
        self._is_silent = is_silent

    def send(self, kind: str, **details: Any) -> None:
        self.said.append({"type": kind, **details})

    async def receive(self) -> dict[str, Any] | None:
        if self.script:
            return self.script.popleft()
        if self._is_silent:
            await asyncio.Event().wait()
        return None

    async def close(self) -> None:
        self.is_closed = True


class Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append(event)


class OldService:
    """Notes what it is told to do."""

    def __init__(self, channel: ScriptedChannel) -> None:
        self.admission = Admission({"public": TierLimit(5)})
        self.channel = channel
        self.story: list[str] = []
        self.skip_pacing = asyncio.Event()
        self.log = Log()
        self.fail_next = False

    async def begin_handover(self) -> None:
        assert self.channel.said == [], "nobody is told to go before this process lets nobody in"
        self.story.append("stood aside")

    async def key_changed(self, key_id: int) -> int:
        self.story.append(f"key {key_id}")
        if self.fail_next:
            self.fail_next = False
            raise StoreUnavailable("away")
        return 0


def _old(*said: dict[str, Any], **settings: Any) -> tuple[Any, Any]:
    channel = ScriptedChannel(*said, **settings)
    return OldService(channel), channel


async def test_old_stands_aside_before_it_says_go_and_tells_who_leaves() -> None:
    service, channel = _old({"type": "prepared"}, SERVING)
    for key_id in (1, 1, 2):
        service.admission.admit("public", key_id)
    assert await negotiate(service, channel) == INFO
    assert service.story == ["stood aside"]
    (go,) = channel.said
    assert go["type"] == "go"
    assert sorted(go["connections"]) == [("public", 1), ("public", 1), ("public", 2)]
    service.admission.release("public", 2)
    assert channel.said[1:] == [{"type": "left", "tier": "public", "key_id": 2}]


@pytest.mark.parametrize("said", [[], [{"type": "hello"}], [{}]])
async def test_new_process_that_never_was_prepared_changes_nothing(said: list[dict[str, Any]]) -> None:
    service, channel = _old(*said)
    with pytest.raises(PeerClosed):
        await negotiate(service, channel)
    assert service.story == []
    assert service.admission.on_change is None


async def test_new_process_that_hangs_up_after_go_leaves_nobody_listening_to_changes() -> None:
    service, channel = _old({"type": "prepared"})
    with pytest.raises(PeerClosed):
        await negotiate(service, channel)
    assert service.story == ["stood aside"]
    assert service.admission.on_change is None


async def test_stop_in_the_middle_leaves_nobody_listening_to_changes() -> None:
    service, channel = _old({"type": "prepared"}, is_silent=True)
    task = asyncio.create_task(negotiate(service, channel))
    while not channel.said:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert service.admission.on_change is None


async def test_old_reads_changed_keys_anew_until_the_new_one_is_gone_then_hurries() -> None:
    service, channel = _old(
        {"type": "key_changed", "key_id": 7}, {"type": "later words"}, {"type": "key_changed", "key_id": 8}
    )
    service.fail_next = True
    await serve_successor(service, channel)
    assert service.story == ["key 7", "key 8"]
    assert len(service.log.warnings) == 1
    assert service.skip_pacing.is_set()


# The new process's side.


def _inheritance(monkeypatch: pytest.MonkeyPatch, *said: dict[str, Any]) -> tuple[InheritedProcess, ScriptedChannel]:
    channel = ScriptedChannel(*said)

    async def opened(end: Any) -> ScriptedChannel:
        return channel

    monkeypatch.setattr(Channel, "open", opened)
    monkeypatch.setattr(os, "set_inheritable", lambda *_: None)
    monkeypatch.setattr(socket, "socket", lambda fileno: fileno)
    return InheritedProcess(Offer(channel=90, lock=91, listeners=[92], host="127.0.0.1", port=8090)), channel


async def test_new_says_prepared_then_counts_the_olds_connections_until_each_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = {"type": "left", "tier": "public", "key_id": 1}
    go = {"type": "go", "connections": [["public", 1], ["public", 1], ["public", 2]]}
    inherited, channel = _inheritance(monkeypatch, go, left, {"type": "later words"}, left)
    connections = await inherited.await_go()
    assert channel.said == [{"type": "prepared"}]
    admission = Admission({"public": TierLimit(3)})
    for holder in connections:
        admission.reserve(*holder)
    assert admission.admit("public", 9) is not None
    inherited.say_serving(INFO)
    assert channel.said[1:] == [SERVING]
    await inherited.follow(admission, connections)
    assert admission.current("public") == 0
    assert channel.is_closed


async def test_old_process_that_dies_frees_all_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    inherited, _ = _inheritance(monkeypatch, {"type": "go", "connections": [["public", 1]] * 4})
    connections = await inherited.await_go()
    admission = Admission({"public": TierLimit(5)})
    for holder in connections:
        admission.reserve(*holder)
    await inherited.follow(admission, connections)
    assert admission.current("public") == 0


async def test_old_process_that_dies_before_go_leaves_the_service_to_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inherited, _ = _inheritance(monkeypatch)
    assert await inherited.await_go() == []


def test_offer_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer(channel=3, lock=4, listeners=[5, 6], host="::1", port=0)
    environ = {VARIABLE: msgspec.json.encode(offer).decode(), "OTHER": "x"}
    assert take_offer(environ) == offer
    assert take_offer(environ) is None
    assert environ == {"OTHER": "x"}


def test_failure_says_why_and_what_the_new_process_said() -> None:
    failed = HandoverFailed("ended with code 1", 1, ["error: line 12"])
    assert str(failed).splitlines() == [
        "the new process ended with code 1; the old one keeps serving. Its output:",
        "error: line 12",
    ]
    assert str(HandoverFailed("was not ready in time", None, [])) == (
        "the new process was not ready in time; the old one keeps serving"
    )


def test_daemon_s_own_program_is_named_where_another_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a checkout in root's folder, say, which the service's user can't run."""
    for name in ("python3", "swimctl"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    typed = Program(executable="/root/swim/.venv/bin/python3", root="", version="1", fingerprint="f")
    assert f"this daemon's own: {tmp_path / 'swimctl'} restart" in _own_program(typed)
    assert _own_program(msgspec.structs.replace(typed, executable=str(tmp_path / "python3"))) == ""
