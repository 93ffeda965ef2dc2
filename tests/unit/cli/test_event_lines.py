"""JSON lines become batches."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.protocol.channels import Catalogue
from swim_server.sources.drop.lines import read_line
from swim_server.sources.event_file.entry import read_parts
from swim_server.streaming.publishing import Publishing

from swimctl.event_lines import BATCH_EVENTS, BadLine, EventLines, NumberedEvent, parse_line


def line(number: int) -> bytes:
    return json.dumps({"type": "flight.departed", "data": {"n": number}}).encode()


def batches_of(path: Path, content: bytes) -> list[list[NumberedEvent]]:
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return list(EventLines(descriptor).batches())
    finally:
        os.close(descriptor)


def test_line_becomes_an_event_without_what_is_not_asked_for() -> None:
    event = parse_line(3, b' {"type":"a.b","data":{},"timestamp":"2026-01-01T00:00:00Z","event_id":null,"_x":1} \r')
    assert event is not None
    assert event.event == {"type": "a.b", "data": {}, "timestamp": "2026-01-01T00:00:00Z"}
    assert event.line == 3


def test_slot_without_data_is_the_event_that_the_sources_make_of_it() -> None:
    text = b'{"type":"ctp_slot_assigned","callsign":"BAW1","slot":{"at":"12:00"},"event_id":"7","_received_at":"x"}'
    event = parse_line(1, text)
    dropped = read_line(text, 1, "file", Publishing(Catalogue()))
    written, _ = read_parts(json.loads(text), Catalogue())
    assert event is not None
    assert dropped is not None
    assert event.event["event_id"] == dropped.event.event_id == "7"
    assert event.event["data"] == dropped.event.data == written.data == {"callsign": "BAW1", "slot": {"at": "12:00"}}


@pytest.mark.parametrize("text", [b"", b"   ", b"\r"])
def test_empty_line_is_passed_over(text: bytes) -> None:
    assert parse_line(1, text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "line 7: not JSON: "),
        (b"\xff", "line 7: not JSON: "),
        (b"[1]", 'line 7: must be an object like {"type": "flight.departed", "data": {…}}'),
        (b'{"data":{}}', "line 7: has no type; an event needs type and data"),
        (b'{"type":"a.b"}', "line 7: has no data; an event needs type and data"),
        (b'{"type":["a"]}', "line 7: has no data; an event needs type and data"),
        (b'{"type":1,"data":{}}', "line 7: type must be a string like flight.departed"),
        (b'{"type":"a.b","data":[]}', "line 7: data must be an object"),
        (b"[" * 100_000, "line 7: "),
    ],
)
def test_line_that_is_no_event_is_told_with_its_number(text: bytes, says: str) -> None:
    with pytest.raises(BadLine) as caught:
        parse_line(7, text)
    assert str(caught.value).startswith(says)


def test_file_becomes_full_batches_in_order(tmp_path: Path) -> None:
    found = batches_of(tmp_path / "x", b"\n".join(line(number) for number in range(1200)))
    assert [len(batch) for batch in found] == [BATCH_EVENTS, BATCH_EVENTS, 200]
    assert [event.event["data"]["n"] for batch in found for event in batch] == list(range(1200))
    assert [event.line for batch in found for event in batch] == list(range(1, 1201))


def test_file_with_a_bad_line_gives_what_stands_before_it_first(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\n".join([line(1), b"", line(2), b"garbage", line(3)]))
    descriptor = os.open(path, os.O_RDONLY)
    batches = EventLines(descriptor).batches()
    assert [event.line for event in next(batches)] == [1, 3]
    with pytest.raises(BadLine, match="line 4: not JSON"):
        next(batches)
    os.close(descriptor)


def test_file_with_a_byte_order_mark_and_no_last_line_end_is_read(tmp_path: Path) -> None:
    assert [
        event.line
        for batch in batches_of(tmp_path / "x", b"\xef\xbb\xbf" + line(1) + b"\r\n" + line(2))
        for event in batch
    ] == [1, 2]


def test_pipe_that_trickles_gives_each_event_as_it_comes() -> None:
    reading, writing = os.pipe()
    batches = EventLines(reading).batches()
    got: list[int] = []
    taken = threading.Event()

    def feed() -> None:
        for number in (1, 2):
            os.write(writing, line(number) + b"\n" + line(9)[:5])
            assert taken.wait(10)
            taken.clear()
            os.write(writing, b"\b" * 0 + line(9)[5:] + b"\n")
            assert taken.wait(10)
            taken.clear()
        os.close(writing)

    thread = threading.Thread(target=feed)
    thread.start()
    for batch in batches:
        got += [event.event["data"]["n"] for event in batch]
        taken.set()
    thread.join()
    os.close(reading)
    assert got == [1, 9, 2, 9]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=30), st.integers(1, 50)
)
def test_events_survive_any_cutting_of_the_pipe(datas: list[dict[str, str]], piece: int) -> None:
    content = b"".join(json.dumps({"type": "a.b", "data": data}).encode() + b"\n" for data in datas)
    reading, writing = os.pipe()

    def feed() -> None:
        for start in range(0, len(content), piece):
            os.write(writing, content[start : start + piece])
        os.close(writing)

    thread = threading.Thread(target=feed)
    thread.start()
    got = [event.event["data"] for batch in EventLines(reading).batches() for event in batch]
    thread.join()
    os.close(reading)
    assert got == datas
