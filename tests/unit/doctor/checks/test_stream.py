"""What doctor concludes about sources, history, ids and the probe."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext, promises, status
from swim_server.daemon.control.documents.diagnostics import ProbeStored

from swimctl.client.session import RpcFailed
from swimctl.doctor.check import Answer
from swimctl.doctor.checks.stream import delivery, event_files
from swimctl.doctor.checks.stream.event_files import EventFile, judge_event_files, look_at_event_files
from swimctl.doctor.checks.stream.sources import sources
from swimctl.doctor.checks.stream.unknown_types import families_with, types_are_known
from swimctl.doctor.probes.probe_event import Lost, Received

NOW_MS = int(time.time() * 1000)
DAY_MS = 86_400_000


@pytest.fixture
def service(tmp_path: Path) -> ServiceContext:
    context = ServiceContext(tmp_path)
    context.known |= {
        "stream.stored": ProbeStored(id=f"{NOW_MS}-0", now_ms=NOW_MS),
        "stream.received": Received(f"{NOW_MS}-1", 0.003),
    }
    context.answers["status"] = _status(f"{NOW_MS}-0")
    return context


def history(newest: str | None) -> dict[str, Any]:
    return {"newest_id": newest, "oldest_id": None, "size_bytes": 1000}


def _status(newest: str | None, **more: Any) -> dict[str, Any]:
    return status() | {"history": history(newest)} | more


def source(**fields: Any) -> dict[str, Any]:
    return {"name": "vatsim", "kind": "vatsim", "state": "running", "last_success_age_seconds": 1.0, **fields}


async def about(service: ServiceContext, pace_seconds: float = 15.0, **fields: Any) -> Any:
    service.answers["status"] = status() | {
        "sources": [source(**fields)],
        "uptime_seconds": fields.pop("uptime", 500.0),
    }
    service.answers["promises"] = promises(sources=[{"name": "vatsim", "pace_seconds": pace_seconds, "path": None}])
    return await sources(service)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "ok"),
        ({"last_success_age_seconds": 49.0}, "ok"),
        ({"last_success_age_seconds": 51.0}, "fail"),
        ({"state": "failed", "last_error": "no such table"}, "fail"),
        ({"state": "stopped"}, "fail"),
        ({"state": "finished", "last_success_age_seconds": 5000.0}, "ok"),
        ({"state": "degraded", "last_error": "column callsign is missing"}, "warn"),
        ({"state": "degraded", "details": {"flights_missing": "column adl_flight_core.callsign"}}, "fail"),
        ({"state": "degraded", "details": {"flights_missing": None}}, "warn"),
        ({"state": "degraded", "last_success_age_seconds": 60.0}, "fail"),
        ({"events": 0, "rejected": 300}, "fail"),
        ({"events": 200, "rejected": 100}, "ok"),
        ({"events": 0, "rejected": 9, "details": {"last_rejected": "it is no JSON object"}}, "warn"),
        ({"events": 1, "rejected": 1}, "ok"),
        ({"feed_age_seconds": -90.0}, "warn"),
        ({"feed_age_seconds": -30.0}, "ok"),
        ({"feed_age_seconds": 928.0}, "warn"),
        ({"feed_age_seconds": 90.0}, "ok"),
        ({"last_success_age_seconds": None}, "fail"),
        ({"state": "starting", "last_success_age_seconds": None}, "fail"),
    ],
    ids=range(20),
)
async def test_source_is_judged_by_its_own_pace(service: ServiceContext, fields: Any, expected: str) -> None:
    answer = await about(service, **fields)
    assert answer.status == expected
    if expected != "ok":
        assert "vatsim" in answer.observed
        assert str(fields.get("last_error") or "") in answer.observed


async def test_source_that_has_just_been_started_has_time(service: ServiceContext) -> None:
    service.answers["status"] = status() | {
        "sources": [source(state="starting", last_success_age_seconds=None)], "uptime_seconds": 3.0,
    }  # fmt: skip
    assert (await sources(service)).status == "ok"


async def test_no_source_at_all_is_well(service: ServiceContext) -> None:
    assert "there are none" in (await sources(service)).observed


async def test_probe_that_comes_out_is_well_and_a_late_one_is_told(service: ServiceContext) -> None:
    assert (await delivery.event_comes_out(service)).status == "ok"
    service.known["stream.received"] = Received(f"{NOW_MS}-1", 1.5)
    assert (await delivery.event_comes_out(service)).status == "warn"


async def test_probe_that_does_not_come_out_is_a_failure(service: ServiceContext) -> None:
    service.known["stream.received"] = Lost("stored as 1-0, and not received within 2 s")
    answer = await delivery.event_comes_out(service)
    assert (answer.status, answer.observed) == ("fail", "stored as 1-0, and not received within 2 s")


async def test_history_that_stores_nothing_is_a_failure(service: ServiceContext) -> None:
    service.known["stream.stored"] = RpcFailed(
        "probe_event", -32000, "history can't be used at the moment: disk is full"
    )
    answer = await delivery.history_writable(service)
    assert (answer.status, answer.observed) == ("fail", "history can't be used at the moment: disk is full")


async def test_ids_that_follow_each_other_and_the_clock_are_well(service: ServiceContext) -> None:
    assert (await delivery.ids_forward(service)).status == "ok"


@pytest.mark.parametrize("second", [f"{NOW_MS}-0", f"{NOW_MS - 1}-5"], ids=["the same", "behind"])
async def test_id_that_does_not_move_is_a_failure(service: ServiceContext, second: str) -> None:
    service.known["stream.received"] = Received(second, 0.003)
    assert (await delivery.ids_forward(service)).status == "fail"


async def test_history_behind_what_was_stored_is_a_failure(service: ServiceContext) -> None:
    service.answers["status"] = _status("1-0")
    assert (await delivery.ids_forward(service)).status == "fail"


async def test_ids_ahead_of_the_clock_are_told(service: ServiceContext) -> None:
    later = f"{NOW_MS + DAY_MS}-0"
    service.known |= {
        "stream.stored": ProbeStored(id=later, now_ms=NOW_MS),
        "stream.received": Received(f"{NOW_MS + DAY_MS}-1", 0.1),
    }
    service.answers["status"] = _status(later)
    answer = await delivery.ids_forward(service)
    assert (answer.status, answer.command) == ("warn", "timedatectl status")


@pytest.mark.parametrize("nonsense", ["", "x", "1", "a-b", "1-", "☃-0"])
async def test_id_that_is_none_is_unknown(service: ServiceContext, nonsense: str) -> None:
    service.known["stream.stored"] = ProbeStored(id=nonsense, now_ms=0)
    assert (await delivery.ids_forward(service)).status == "unknown"


@pytest.mark.parametrize(("size", "fix"), [(1_900_000, "history.max_bytes 4000000"), (10_000, "swimctl logs")])
async def test_history_that_is_cut_short_is_told_with_its_reason(service: ServiceContext, size: int, fix: str) -> None:
    service.answers["promises"]["history"]["events"]["has_gap"] = True
    service.answers["status"]["history"]["size_bytes"] = size
    answer = await delivery.history_kept(service)
    assert answer.status == "warn"
    assert fix in str(answer.command)


async def test_history_that_can_not_be_read_is_a_failure(service: ServiceContext) -> None:
    service.answers["promises"]["history"]["problem"] = "it is damaged"
    assert (await delivery.history_kept(service)).status == "fail"


# The event file.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "PAUSE_SECONDS", 0)


async def about_files(service: ServiceContext, files: list[EventFile]) -> Answer:
    return judge_event_files("taken", files, await look_at_event_files(service, files))


@pytest.mark.usefixtures("quick")
async def test_file_that_nobody_takes_is_a_failure(service: ServiceContext, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text("[]")
    os.utime(path, (1, 1))
    answer = await about_files(service, [("file", str(path), 0.0)])
    assert answer.status == "fail"
    assert "2 bytes that are not taken" in answer.observed


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", [None, ""])
async def test_file_that_is_not_there_or_empty_is_well(
    service: ServiceContext, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "events.json"
    if text is not None:
        path.write_text(text)
    assert (await about_files(service, [("file", str(path), 0.1)])).status == "ok"


async def test_types_that_there_are_not_are_told_with_the_line_that_declares_them(
    service: ServiceContext,
) -> None:
    unknown = {"tmi.foo": 3, "cdm.wish.a": 1, "cdm.wish.b": 1, "cdm.wish.c": 1, "nothing": 2}
    service.answers["status"] = status() | {"sources": [source(unknown_types=unknown)]}
    answer = await types_are_known(service)
    assert answer.status == "warn"
    assert "3 of tmi.foo" in answer.observed
    assert '[channels.families] tmi = ["foo"]' in answer.evidence
    assert '[channels.families] cdm = ["wish.*"]' in answer.evidence
    assert "swimctl config set channels.families.tmi '[\"foo\"]'" in str(answer.fix)


async def test_known_types_alone_are_well(service: ServiceContext) -> None:
    service.answers["status"] = status() | {"sources": [source()]}
    assert (await types_are_known(service)).status == "ok"


def test_line_keeps_what_is_declared_already() -> None:
    assert families_with({"tmi": ["bar"]}, ["tmi.foo", "tmi.bar"]) == {"tmi": ["bar", "foo"]}
    assert families_with({}, ["a b.c", "x", "..", "tmi."]) == {}
