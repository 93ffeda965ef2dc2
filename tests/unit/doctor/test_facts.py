"""Facts: observed once, with source and time; saved, and evaluated elsewhere with the same result."""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from swim_server.config import ConfigError, Origin, Problem
from swim_server.sql.errors import PermissionDenied, StoreMisconfigured, StoreUnavailable

from swimctl.client.answers import UnreadableAnswer
from swimctl.client.session import RpcFailed
from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.diagnose import Doctor
from swimctl.doctor.fact_errors import Unlisted, error_of, saved_error
from swimctl.doctor.facts import Fact, FactBook, NotSaved, decoded, encoded, observing
from swimctl.doctor.probes.daemon_facts import CannotAsk
from swimctl.doctor.probes.filesystem import FileSystem
from swimctl.doctor.probes.probe_event import Lost
from swimctl.doctor.probes.procfs import DescriptorUse, Listener, ProcFs
from swimctl.doctor.probes.wire import Ended, NotUpgraded
from swimctl.doctor.saved_facts import SavedRun, read_facts, to_json, write_facts
from swimctl.doctor.selection import Choice
from swimctl.errors import CommandFailed, DaemonNotRunning
from swimctl.invocation import Invocation


def through_a_file(value: Any, shape: Any) -> Any:
    return decoded(json.loads(json.dumps(encoded(value))), shape)


async def test_what_could_not_be_observed_is_observed_again_once_it_has_come_back() -> None:
    facts, answers = FactBook(), iter(["", "here"])

    async def ask() -> str:
        answer = next(answers)
        if not answer:
            raise CommandFailed("silence")
        return answer

    with pytest.raises(CommandFailed):
        await facts.find("process.version", ask, source="the process")
    facts.forget_errors("kernel.")
    with pytest.raises(CommandFailed):
        await facts.find("process.version", ask, source="the process")
    facts.forget_errors("process.")
    assert await facts.find("process.version", ask, source="the process") == "here"
    facts.forget_errors("process.")
    assert await facts.find("process.version", ask, source="the process") == "here"


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (Path("/srv/home"), Path),
        ([Listener("0100007F", "7")], list[Listener]),
        (DescriptorUse(1, 2, None), DescriptorUse | None),
        ({"7", "8"}, set[str] | None),
        ({1: Origin("file", "swim.toml", 3)}, dict[int, Origin]),
        (None, Path | None),
    ],
    ids=["path", "listeners", "tuple", "set", "struct", "none"],
)
def test_values_come_back_from_a_file_as_they_were(value: Any, shape: Any) -> None:
    assert through_a_file(value, shape) == value


ERRORS: list[Exception] = [
    RpcFailed("publish", -32000, "history can't be written"),
    UnreadableAnswer("the daemon's answer to status can't be read: it is a list"),
    DaemonNotRunning("nobody", "start it"),
    CommandFailed("silence", "look"),
    CannotAsk("it doesn't tell", "swimctl restart"),
    Lost("no greeting"),
    NotUpgraded("HTTP 426", 426),
    Ended(4001, "no"),
    StoreUnavailable("away"),
    StoreMisconfigured("no driver", "apt-get install it"),
    PermissionDenied("denied", ""),
    PermissionError(13, "Permission denied", "/srv/home/swim.lock"),
    ConnectionRefusedError(111, "Connection refused"),
    TimeoutError(),
    ConfigError([Problem("logging.levle", "there is no such setting", Origin("file", "swim.toml", 2))]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_come_back_as_the_same_class_with_the_same_text(error: Exception) -> None:
    saved = saved_error(error)
    found = error_of(through_a_file(saved, type(saved)))
    assert (type(found), str(found)) == (type(error), str(error))


def test_error_of_a_class_that_is_not_known_keeps_its_text() -> None:
    found = error_of(saved_error(ZeroDivisionError("oh")))
    assert (type(found), str(found)) == (Unlisted, "ZeroDivisionError: oh")


async def test_fact_is_observed_once_with_source_and_time_and_its_error_too() -> None:
    book, calls = FactBook(), 0

    async def observe() -> int:
        nonlocal calls
        calls += 1
        raise OSError(5, "Input/output error")

    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            await book.find("files.x", observe, source="/x")
    fact = book.facts["files.x"]
    assert calls == 1
    assert (fact.source, fact.error is not None) == ("/x", True)
    assert abs(fact.at - time.time()) < 60
    book.forget("files.")
    with pytest.raises(OSError, match="Input/output"):
        await book.find("files.x", observe, source="/x")
    assert calls == 2


async def test_check_is_told_only_what_it_asked_for_itself() -> None:
    book = FactBook()

    async def inner() -> int:
        return 1

    async def outer() -> int:
        return await book.find("inner", inner, source="here")

    with book.asked_by("a.one"):
        await book.find("outer", outer, source="here")
        await asyncio.to_thread(book.look, "looked", lambda: 2, source="here")
    assert book.used == {"a.one": ["outer", "looked"]}


def test_threads_that_look_at_the_same_time_look_once() -> None:
    book, barrier, looks = FactBook(), threading.Barrier(4), []

    def observe() -> int:
        looks.append(1)
        time.sleep(0.01)
        return 7

    def ask() -> None:
        barrier.wait()
        assert book.look("x", observe, source="here") == 7

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(looks) == 1


def test_what_kernel_and_disk_say_is_saved_by_method_and_arguments(tmp_path: Path) -> None:
    book = FactBook()
    files = observing(FileSystem(), "files", "the disk", book)
    seen, room = files.look(tmp_path), files.room(tmp_path)
    assert isinstance(files, FileSystem)
    assert (seen.kind, list(book.facts)) == ("folder", [f"files.look({tmp_path})", f"files.room({tmp_path})"])
    written = {id: msgspec.structs.replace(each, value=encoded(each.value)) for id, each in book.facts.items()}
    elsewhere = observing(FileSystem(), "files", "the disk", FactBook(written))
    assert (elsewhere.look(tmp_path), elsewhere.room(tmp_path)) == (seen, room)
    with pytest.raises(NotSaved, match="is not among the saved facts"):
        elsewhere.look(tmp_path / "other")
    with pytest.raises(NotSaved):
        observing(ProcFs(), "kernel", "/proc", FactBook(written)).state(1)


def doctor(home: Path, only: tuple[str, ...] = ("process", "config", "host.disk")) -> Doctor:
    return Doctor(Invocation(environ={"SWIM_HOME": str(home)}), Options(), Choice(only))


def test_run_is_judged_elsewhere_as_where_it_was_observed(tmp_path: Path) -> None:
    home, path = tmp_path / "home", tmp_path / "facts.json"
    home.mkdir()
    found = doctor(home)
    here = found.examine()
    write_facts(path, found.run(), [])
    assert path.stat().st_mode & 0o777 == 0o600
    home.rmdir()
    there = Doctor(Invocation(environ={}), Options(), saved=read_facts(path)).examine()
    assert [(each.id, each.status, each.observed) for each in there.results] == [
        (each.id, each.status, each.observed) for each in here.results
    ]
    assert str(home) in there.subject


def test_check_that_was_not_asked_then_is_unknown_now(tmp_path: Path) -> None:
    found = doctor(tmp_path, ("host.disk",))
    found.examine()
    saved = decoded(json.loads(to_json(found.run(), [])), SavedRun)
    report = Doctor(Invocation(environ={}), Options(), Choice(["host.clock"]), saved=saved).examine()
    assert report.results[0].observed.endswith("is not among the saved facts")


def test_secrets_are_not_in_the_file_and_it_stays_json(tmp_path: Path) -> None:
    book = FactBook()
    book.facts["x"] = Fact(
        name="x", source="swim_dev_0123456789", at=1.0, seconds=0.0,
        value={"hunter-two": "a hunter-two b", "key": 42, "list": ["Bearer abc.def", None, 1.5]},
    )  # fmt: skip
    context = DoctorContext(Invocation(environ={"SWIM_HOME": str(tmp_path)}), Options(api_key="s3cret-key"), facts=book)
    found = SavedRun(
        circumstances=context.circumstances, options=Options(), checks=("host.disk",), facts=tuple(book.facts.values())
    )
    text = to_json(found, ["hunter-two"]).decode()
    assert not [secret for secret in ("hunter-two", "0123456789", "abc.def", "s3cret") if secret in text]
    assert json.loads(text)["facts"][0]["value"]["key"] == 42


def test_facts_are_read_from_a_bundle_too(tmp_path: Path) -> None:
    found = doctor(tmp_path, ("host.disk",))
    found.examine()
    write_facts(tmp_path / "facts.json", found.run(), [])
    with tarfile.open(tmp_path / "help.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "facts.json", "help/facts.json")
    assert read_facts(tmp_path / "help.tar.gz") == read_facts(tmp_path / "facts.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe\x00"])
def test_file_that_holds_no_facts_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    with pytest.raises(CommandFailed, match="has no facts of swimctl doctor"):
        read_facts(path)


def test_facts_of_another_format_name_the_version_that_reads_them(tmp_path: Path) -> None:
    found = doctor(tmp_path, ("host.disk",))
    found.examine()
    path = tmp_path / "facts.json"
    path.write_bytes(to_json(msgspec.structs.replace(found.run(), format=99, version="9.9"), []))
    with pytest.raises(CommandFailed, match="format 99"):
        read_facts(path)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        read_facts(tmp_path / "none.json")
