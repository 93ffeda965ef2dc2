"""The live table on a screen of 80 columns, without colour."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from swimctl.client.stream_items import Answered, Away, CaughtUp, EventReceived, Gap, Lost, StreamItem, Subscribed
from swimctl.live.model import MAX_ROWS, TailModel
from swimctl.live.view import events, frame
from swimctl.render.event_row import EventRow

NEWLINE = "\n"
URL = "ws://127.0.0.1:8090/api/swim/v1/ws"


def screen(renderable: Any, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(renderable)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def happened(number: int, type: str, **data: Any) -> EventReceived:
    event = {"type": type, "timestamp": f"2026-01-16T14:30:{number % 60:02d}.000Z", "id": f"1768573815000-{number}"}
    return EventReceived({**event, "data": data}, b"")


def flight(callsign: str, origin: str, destination: str, **more: Any) -> dict[str, Any]:
    return {"callsign": callsign, "dep": origin, "arr": destination, **more}


def busy_model() -> TailModel:
    model = TailModel(title=URL, wanted="flight.* airports=KJFK")
    model.apply(Subscribed({}, True), 100)
    model.settle()
    off, on = "2026-01-16T14:29:50Z", "2026-01-16T14:30:02Z"
    items: list[StreamItem] = [
        happened(1, "flight.departed", **flight("DAL123", "KJFK", "EGLL", off_utc=off, altitude_ft=1200)),
        happened(2, "flight.arrived", **flight("BAW45", "EGLL", "KJFK", in_utc=on, current_artcc="ZNY")),
        happened(3, "flight.positions", count=3, positions=[{}, {}, {}]),
        happened(4, "flight.created", **flight("VERYLONGCALLSIGN", "KJFK", "KLAX", equipment="B738/L", route="X" * 90)),
        happened(5, "tmi.issued", program_type="GS", airport="KJFK", end_time="2026-01-16T15:30:00Z", reason="WEATHER"),
        happened(6, "flight.deleted", callsign="N1"),
        happened(7, "system.notice", message="hello"),
        Answered({"url": URL, "connections": {"total": 3}}),
    ]
    for number, item in enumerate(items):
        model.apply(item, 100 + number)
    return model


def test_table_at_80_columns() -> None:
    assert (
        screen(frame(busy_model(), 80, 24, 107, elapsed=83))
        == f"""\
SWIM ● live  {URL}  flight.* airports=KJFK
7 events in 1m 23s, 0.9/s  3 positions, 0.4/s  3 remote clients
1 departed  1 arrived  1 created  1 deleted  1 tmi  1 other

UTC      EVENT        CALLSIGN FROM → TO     WHAT HAPPENED
14:30:01 departed     DAL123   KJFK → EGLL   off 14:29Z, 1,200 ft
14:30:02 arrived      BAW45    EGLL → KJFK   in 14:30Z, ZNY
14:30:04 created      VERYLON… KJFK → KLAX   B738/L, XXXXXXXXXXXXXXXXXXXXXXXXXX…
14:30:05 tmi issued   GS       KJFK          until 15:30Z, WEATHER
14:30:06 deleted      N1       -             gone
14:30:07 system noti… -        -             hello
{11 * NEWLINE}
q quit   space pause   ? help"""
    )


def test_table_at_140_columns_has_more_text_and_ids() -> None:
    lines = screen(frame(busy_model(), 140, 24, 107, elapsed=83), 140).splitlines()
    assert lines[4] == "UTC      EVENT        CALLSIGN FROM → TO     WHAT HAPPENED" + " " * 63 + "ID"
    assert lines[5].endswith("1768573815000-1")
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize(("width", "height"), [(20, 5), (40, 10), (80, 24), (81, 8), (140, 40), (300, 3)])
def test_table_never_grows_beyond_its_screen(width: int, height: int) -> None:
    model = busy_model()
    for number in range(100):
        model.apply(happened(number, "flight.departed", **flight(f"T{number}", "KJFK", "EGLL")), 110)
    lines = screen(frame(model, width, height, 110, elapsed=1), width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 6)
    assert any("T99" in line for line in lines) or width < 30
    assert lines[-1].startswith("q quit")


def test_table_shows_the_newest_lines_at_the_bottom() -> None:
    model = TailModel(title="x")
    for number in range(50):
        model.apply(happened(number, "flight.departed", callsign=f"T{number}"), 1)
    shown = screen(events(model, 80, 3)).splitlines()
    assert [line.split()[2] for line in shown[1:]] == ["T47", "T48", "T49"]


def test_table_before_the_first_event_says_that_it_waits() -> None:
    assert (
        screen(frame(TailModel(title=URL), 80, 24, 0, elapsed=0))
        == f"""\
SWIM ○ connecting  {URL}
0 events in 0.0s, 0/s  0 positions, 0/s
0 departed  0 arrived  0 created  0 updated  0 deleted  0 tmi

UTC      EVENT        CALLSIGN FROM → TO     WHAT HAPPENED
waiting for the first event …
{16 * NEWLINE}
q quit   space pause   ? help"""
    )


def test_table_has_room_for_a_banner() -> None:
    lines = screen(
        frame(busy_model(), 80, 12, 107, elapsed=1, banner=[Text("export X=1"), Text("y" * 200)])
    ).splitlines()
    assert lines[3] == "export X=1"
    assert lines[4:7] == ["y" * 79 + "\\", "y" * 79 + "\\", "y" * 42]
    assert len(lines) == 12


def test_notes_about_the_stream_stand_between_the_events() -> None:
    model = busy_model()
    for item in (Lost("restart"), Subscribed({}, False), Gap(), CaughtUp(14, False)):
        model.apply(item, 200)
    shown = [line for line in screen(frame(model, 80, 24, 200, elapsed=1)).splitlines()[:-1] if line]
    assert shown[-2:] == [
        "— gap: history does not reach back to the last event seen —",
        "— reconnected, 14 events recovered —",
    ]


def test_header_says_what_became_of_the_connection() -> None:
    model = busy_model()
    states = []
    for item in (Lost("the service restarts\x1b[2J"), Subscribed({}, False), CaughtUp(0, False)):
        model.apply(item, 200)
        states.append(screen(frame(model, 80, 24, 200, elapsed=1)).splitlines()[0])
    assert states[0].startswith(f"SWIM ○ reconnecting  {URL}  the service restarts")
    assert "\x1b" not in states[0]
    assert states[1].startswith("SWIM ◐ reading history")
    assert states[2].startswith("SWIM ● live")


def test_positions_are_counted_and_leave_the_lines_to_other_events() -> None:
    model = TailModel(title="x")
    for number in range(10):
        model.apply(happened(number, "flight.positions", positions=[{}] * 100), 1 + number)
    assert (len(model.rows), model.positions, model.events) == (0, 1000, 10)
    assert model.rates(10)[1] == pytest.approx(1000 / 9.5)


def test_positions_are_lines_when_nothing_else_was_asked_for() -> None:
    model = TailModel(title="x", show_positions=True)
    model.apply(happened(1, "flight.positions", positions=[{"callsign": "A"}, {"callsign": "B"}]), 1)
    assert [row.callsign for row in model.rows if isinstance(row, EventRow)] == ["A", "B"]


def test_model_is_bounded_however_long_it_runs() -> None:
    model = TailModel(title="x", show_positions=True)
    for number in range(2000):
        model.apply(happened(number, "flight.departed", callsign="A"), float(number))
        model.apply(happened(number, "flight.positions", positions=[{}] * 2), float(number))
        model.rates(float(number))
    assert len(model.rows) == MAX_ROWS
    assert model.rates(2000.0)[0] == pytest.approx(2.0, rel=0.2)


def test_heartbeats_are_no_events_and_tell_how_many_listen() -> None:
    model = TailModel(title="x")
    model.apply(EventReceived({"type": "system.heartbeat", "data": {"connected_clients": 7}}, b""), 1)
    model.apply(EventReceived({"type": "system.heartbeat", "data": None}, b""), 1)
    assert (model.events, model.clients, len(model.rows)) == (0, 7, 0)


def test_service_that_is_stopped_is_told_with_the_time_of_the_next_attempt() -> None:
    model = busy_model()
    for item in (Lost("the service stops"), Away("stopped", 8.0)):
        model.apply(item, 200)
    first = [screen(frame(model, 80, 24, now, elapsed=1)).splitlines()[0] for now in (200, 203.2, 209)]
    assert first[0] == f"SWIM ○ stopped; trying again in 8 s  {URL}  flight…"
    assert "trying again in 5 s" in first[1]
    assert "stopped; trying again  ws" in first[2]


def test_low_terminal_has_its_lines_for_events() -> None:
    model = TailModel(title=URL)
    for number in range(20):
        model.apply(happened(number, "flight.departed", callsign=f"T{number}", altitude_ft=1000), 1)
    lines = screen(frame(model, 40, 8, 1, elapsed=1, banner=[Text("export X=1")]), 40).splitlines()
    assert len(lines) == 8
    assert [line.split()[2] for line in lines[2:7]] == ["T15", "T16", "T17", "T18", "T19"]


def test_hints_leave_after_a_minute_and_come_back_with_the_help() -> None:
    model, banner = busy_model(), [Text("export X=1")]
    assert "export X=1" in screen(frame(model, 80, 24, 107, elapsed=59, banner=banner))
    assert "export X=1" not in screen(frame(model, 80, 24, 107, elapsed=61, banner=banner))
    model.press("?")
    shown = screen(frame(model, 80, 24, 107, elapsed=61, banner=banner))
    assert "export X=1" in shown
    assert "remote clients  client connections to the service" in shown
    assert len(shown.splitlines()) == 24


def test_held_table_stays_while_events_go_on() -> None:
    model = busy_model()
    model.press(" ")
    model.apply(happened(9, "flight.departed", callsign="LATER"), 108)
    shown = screen(frame(model, 80, 24, 108, elapsed=1))
    assert "LATER" not in shown
    assert shown.splitlines()[-1] == "paused: q quit   space pause   ? help"
    model.press(" ")
    assert "LATER" in screen(frame(model, 80, 24, 108, elapsed=1))


def test_wide_terminal_has_no_empty_columns_between_text_and_id() -> None:
    model = TailModel(title="x")
    for number in range(5):
        model.apply(happened(number, "flight.departed", callsign="T", altitude_ft=1000 + number), 1)
    lines = screen(events(model, 200, 10), 200).splitlines()
    assert [line[45:] for line in lines[1:2]] == ["1,000 ft      1768573815000-0"]
