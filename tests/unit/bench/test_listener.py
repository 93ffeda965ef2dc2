"""A listening client: frames in pieces of any size, events checked one by one."""

from __future__ import annotations

import json
import random

import pytest
from websockets.frames import Frame, Opcode

from swimctl.bench.listener import STEP_BITS, Listener, Stage, Tally
from swimctl.bench.mark import marked, prefix_of, read_mark

RUN = 7
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
NOW_NS = 5_000_000_000


def event(sequence: int, *, run: int = RUN, at_ns: int = NOW_NS - 3_000_000, size: int = 260) -> bytes:
    data = marked(run, sequence, at_ns, size)
    message = {"type": "system.notice", "timestamp": "2026-01-16T14:30:15.123Z", "id": f"{sequence}-0", "data": data}
    return frame(json.dumps(message, separators=(",", ":")))


def frame(text: str, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, text.encode()).serialize(mask=False)


def listening() -> tuple[Listener, Tally]:
    tally = Tally(prefix_of(RUN))
    listener = Listener(tally)
    assert listener.feed(HEAD + frame('{"type":"connected"}'), NOW_NS) == b""
    assert listener.stage is Stage.GREETED
    listener.feed(frame('{"type":"subscribed","channels":[]}'), NOW_NS)
    assert listener.stage is Stage.LISTENING
    return listener, tally


def test_mark_is_read_from_the_end_of_an_event() -> None:
    data = event(3)
    assert read_mark(data, len(data), prefix_of(RUN)) == (3, NOW_NS - 3_000_000)
    assert read_mark(data, len(data), prefix_of(RUN + 1)) is None
    assert read_mark(b'{"type":"pong"}', 15, prefix_of(RUN)) is None


@pytest.mark.parametrize("size", [200, 260, 5000, 60_000])
def test_event_has_about_the_size_asked_for(size: int) -> None:
    assert abs(len(event(1, size=size)) - size) < 80


def test_events_are_counted_with_their_latency() -> None:
    listener, tally = listening()
    listener.feed(event(1) + event(2) + event(3), NOW_NS)
    assert (tally.deliveries, tally.repeated, listener.received) == (3, 0, 3)
    assert tally.steps == {3_000_000 >> STEP_BITS: 3}
    assert tally.largest_ns == 3_000_000


def test_repeated_and_older_events_are_counted_as_such() -> None:
    listener, tally = listening()
    for sequence in (1, 2, 2, 1, 4):
        listener.feed(event(sequence), NOW_NS)
    assert (tally.deliveries, tally.repeated) == (3, 2)
    assert (listener.received, listener.sequence) == (3, 4)


def test_events_of_another_run_and_other_messages_are_left_out() -> None:
    listener, tally = listening()
    listener.feed(event(1) + event(2, run=8) + frame('{"type":"system.heartbeat","data":{}}') + event(2), NOW_NS)
    assert tally.deliveries == 2
    assert listener.received == 2


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_size_make_the_same(seed: int) -> None:
    chance = random.Random(seed)
    stream = HEAD + frame('{"type":"connected"}') + frame('{"type":"subscribed"}')
    for sequence in range(1, 60):
        stream += event(sequence, size=chance.choice([200, 200, 200, 400, 70_000]))
        if chance.random() < 0.1:
            stream += frame("", Opcode.PING)
    tally = Tally(prefix_of(RUN))
    listeners = [Listener(tally) for _ in range(2)]
    for listener in listeners:
        rest = stream
        while rest:
            length = chance.choice([1, 10, 300, 10_000])
            listener.feed(rest[:length], NOW_NS)
            rest = rest[length:]
    assert [listener.received for listener in listeners] == [59, 59]
    assert (tally.deliveries, tally.repeated) == (118, 0)
    assert tally.bytes == 2 * len(stream)


def test_ping_is_answered_with_a_masked_pong() -> None:
    listener, _ = listening()
    assert listener.feed(frame("hello", Opcode.PING), NOW_NS) == b"\x8a\x85\0\0\0\0hello"


def test_close_ends_it_with_its_code() -> None:
    listener, _ = listening()
    listener.feed(frame((4008).to_bytes(2, "big").decode("latin-1"), Opcode.CLOSE), NOW_NS)
    assert listener.stage is Stage.ENDED


def test_refused_upgrade_ends_it() -> None:
    listener = Listener(Tally(prefix_of(RUN)))
    listener.feed(b"HTTP/1.1 429 Too Many Requests\r\n\r\n", NOW_NS)
    assert listener.stage is Stage.ENDED


def resumed(listener: Listener, answer: str) -> None:
    listener.begin_again()
    assert listener.feed(HEAD + frame('{"type":"connected"}'), NOW_NS) == b""
    listener.feed(frame(answer), NOW_NS)
    assert listener.stage is Stage.LISTENING


def test_client_whose_connection_ends_goes_on_after_its_last_event() -> None:
    listener, tally = listening()
    listener.feed(event(1) + event(2), NOW_NS)
    listener.feed(Frame(Opcode.CLOSE, b"\x03\xf4the service restarts; retry_ms=250").serialize(mask=False), NOW_NS)
    assert (listener.stage, listener.close_code, listener.retry_seconds) == (Stage.ENDED, 1012, 0.25)
    assert listener.resumes_after == b"2-0"
    resumed(listener, '{"type":"subscribed","channels":[],"last_event_id":"9-0","resumed":true,"gap":false}')
    listener.feed(event(3) + event(4), NOW_NS)
    assert (listener.received, listener.sequence, tally.deliveries, tally.repeated) == (4, 4, 4, 0)
    assert (tally.resumed, tally.gaps) == (1, 0)


def test_client_that_has_no_event_yet_resumes_after_the_one_before_it_began_to_listen() -> None:
    tally = Tally(prefix_of(RUN))
    listener = Listener(tally)
    assert listener.resumes_after is None
    listener.feed(HEAD + frame('{"type":"connected"}'), NOW_NS)
    listener.feed(frame('{"type":"subscribed","channels":[],"last_event_id":"7-3"}'), NOW_NS)
    assert listener.resumes_after == b"7-3"
    resumed(listener, '{"type":"subscribed","channels":[],"last_event_id":"9-0","resumed":true,"gap":true}')
    assert listener.resumes_after == b"7-3"
    assert (tally.resumed, tally.gaps) == (1, 1)


def test_event_that_comes_again_after_resuming_is_counted_as_repeated() -> None:
    listener, tally = listening()
    listener.feed(event(1) + event(2), NOW_NS)
    resumed(listener, '{"type":"subscribed","channels":[],"last_event_id":"2-0"}')
    listener.feed(event(2) + event(3), NOW_NS)
    assert (listener.received, tally.repeated) == (3, 1)
