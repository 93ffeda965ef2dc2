"""Messages: valid and invalid requests of clients, and the server's exact answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol import actions, messages
from swim_server.protocol.actions import (
    MAX_CHANNELS,
    MAX_LAST,
    Ping,
    Publish,
    Status,
    Subscribe,
    Unsubscribe,
    binary_frame,
    decode_action,
)
from swim_server.protocol.codes import BadMessage, ErrorCode

NOW = "2026-01-16T14:30:15.123Z"


def ask(**message: Any) -> actions.Action:
    """What a client's message is read as; text and bytes alike."""
    text = json.dumps(message)
    action = decode_action(text)
    assert decode_action(text.encode()) == action
    return action


def refusal_of(frame: bytes | str) -> BadMessage:
    with pytest.raises(BadMessage) as refusal:
        decode_action(frame)
    assert len(refusal.value.message) < 350
    messages.error(refusal.value.code, refusal.value.message, NOW, **refusal.value.data)
    return refusal.value


def refused(**message: Any) -> BadMessage:
    return refusal_of(json.dumps(message))


# What former clients send.


def test_subscribe_of_the_former_clients_is_read() -> None:
    assert ask(action="subscribe", channels=["flight.departed"]) == Subscribe(channels=["flight.departed"])
    assert ask(action="subscribe", channels=["tmi.*"], filters={"airports": ["KJFK"]}) == Subscribe(
        channels=["tmi.*"], filters={"airports": ["KJFK"]}
    )


@pytest.mark.parametrize("filters", [None, [], {}])
def test_subscribe_with_no_filters_in_any_spelling_is_read(filters: object) -> None:
    assert ask(action="subscribe", channels=["tmi.*"], filters=filters) == Subscribe(
        channels=["tmi.*"], filters=filters
    )


def test_channels_lose_surrounding_blanks_and_repeats_and_keep_their_order() -> None:
    action = ask(action="subscribe", channels=[" tmi.* ", "flight.*", "tmi.*"])
    assert action == Subscribe(channels=["tmi.*", "flight.*"])


@pytest.mark.parametrize("message", [{}, {"channels": None}, {"channels": []}, {"channels": {}}])
def test_unsubscribe_without_channels_means_all(message: dict[str, Any]) -> None:
    assert ask(action="unsubscribe", **message) == Unsubscribe(channels=[])


def test_unsubscribe_from_channels_is_read() -> None:
    assert ask(action="unsubscribe", channels=["tmi.*"]) == Unsubscribe(channels=["tmi.*"])


def test_ping_and_status_are_read() -> None:
    assert ask(action="ping") == Ping()
    assert ask(action="status") == Status()


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    assert ask(action="ping", timestamp=1, id="x", data={"deep": [[[{}]]]}, huge=10**30) == Ping()
    assert ask(action="subscribe", channels=["*"], client="old", version=None) == Subscribe(channels=["*"])


def test_publish_is_read() -> None:
    data = {"callsign": "BAW1", "nested": [1, {"a": None}]}
    assert ask(action="publish", channel=" flight.departed", data=data, event_id="e-1") == Publish(
        channel="flight.departed", data=data, event_id="e-1"
    )
    assert ask(action="publish", channel="tmi.issued", data={}, event_id=None) == Publish(channel="tmi.issued", data={})


# History.


@pytest.mark.parametrize(
    ("history", "read"),
    [
        ({"after": "1768573815123-0"}, {"after": "1768573815123-0"}),
        ({"after": "01768573815123-00"}, {"after": "1768573815123-0"}),
        ({"after": "99999999999999-0"}, {"after": "4398046511103-2097151"}),
        ({"since": "2026-01-16T14:30:15Z"}, {"since": "2026-01-16T14:30:15Z"}),
        ({"last": 0}, {"last": 0}),
        ({"last": MAX_LAST}, {"last": MAX_LAST}),
        ({"after": None, "since": None, "last": 10}, {"last": 10}),
    ],
)
def test_history_is_read(history: dict[str, Any], read: dict[str, Any]) -> None:
    assert ask(action="subscribe", channels=["*"], **history) == Subscribe(channels=["*"], **read)


@pytest.mark.parametrize(
    ("history", "field"),
    [
        ({"after": "yesterday"}, "after"),
        ({"after": 1_768_573_815_123}, "after"),
        ({"after": ""}, "after"),
        ({"after": "9" * 1000}, "after"),
        ({"since": "yesterday"}, "since"),
        ({"since": 1_768_573_815}, "since"),
        ({"last": -1}, "last"),
        ({"last": MAX_LAST + 1}, "last"),
        ({"last": "10"}, "last"),
        ({"last": 1.5}, "last"),
        ({"last": True}, "last"),
        ({"after": "1-0", "last": 5}, "last"),
        ({"after": "1-0", "since": NOW}, "since"),
    ],
)
def test_history_that_can_not_be_read_is_refused_by_name(history: dict[str, Any], field: str) -> None:
    refusal = refused(action="subscribe", channels=["*"], **history)
    assert refusal.code is ErrorCode.INVALID_SUBSCRIBE
    assert refusal.data == {"field": field}
    assert field in refusal.message


# Refusals.


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe"])
@pytest.mark.parametrize(
    "channels", ["flight.*", "", 5, True, False, 0, {"a": 1}, [5], [None], ["tmi.*", ["flight.*"]]]
)
def test_channels_that_are_no_list_of_strings_are_refused(action: str, channels: object) -> None:
    refusal = refused(action=action, channels=channels)
    assert refusal.code is ErrorCode.INVALID_SUBSCRIBE
    assert refusal.data == {"field": "channels"}


@pytest.mark.parametrize("message", [{}, {"channels": None}, {"channels": []}, {"filters": {"airports": ["KJFK"]}}])
def test_subscribe_without_channels_is_refused(message: dict[str, Any]) -> None:
    assert refused(action="subscribe", **message).code is ErrorCode.INVALID_SUBSCRIBE


def test_more_channels_than_the_limit_are_refused_with_the_limit() -> None:
    refusal = refused(action="subscribe", channels=["x"] * (MAX_CHANNELS + 1))
    assert "at most 1000 in one subscribe, got 1001" in refusal.message


@pytest.mark.parametrize(
    "action", ["", "SUBSCRIBE", "sub", None, 5, True, [], {}, ["ping"], {"action": "ping"}, "x" * 60_000]
)
def test_unknown_action_is_refused_with_those_that_exist(action: object) -> None:
    refusal = refused(action=action)
    assert refusal.code is ErrorCode.UNKNOWN_ACTION
    assert refusal.data == {"actions": ["subscribe", "unsubscribe", "ping", "status", "publish", "explain"]}
    assert "subscribe, unsubscribe, ping, status, publish" in refusal.message


@pytest.mark.parametrize("frame", ["{}", '{"type":"ping"}', '{"Action":"ping"}'])
def test_message_without_an_action_is_refused_likewise(frame: str) -> None:
    refusal = refusal_of(frame)
    assert refusal.code is ErrorCode.UNKNOWN_ACTION
    assert refusal.message.startswith("no action")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"data": {}}, "channel"),
        ({"channel": "", "data": {}}, "channel"),
        ({"channel": 5, "data": {}}, "channel"),
        ({"channel": ["tmi.issued"], "data": {}}, "channel"),
        ({"channel": "tmi.issued"}, "data"),
        ({"channel": "tmi.issued", "data": None}, "data"),
        ({"channel": "tmi.issued", "data": []}, "data"),
        ({"channel": "tmi.issued", "data": "{}"}, "data"),
        ({"channel": "tmi.issued", "data": {}, "event_id": 5}, "event_id"),
        ({"channel": "tmi.issued", "data": {}, "event_id": ""}, "event_id"),
        ({"channel": "tmi.issued", "data": {}, "event_id": "x" * 129}, "event_id"),
        ({"channel": "tmi.issued", "data": {"a": [2**63]}}, "data.a[0]"),
        ({"channel": "tmi.issued", "data": {"a": json.loads("[" * 40 + "]" * 40)}}, "data"),
    ],
)
def test_publish_that_is_wrong_is_refused_by_field(message: dict[str, Any], field: str) -> None:
    refusal = refused(action="publish", **message)
    assert refusal.code is ErrorCode.INVALID_PUBLISH
    assert refusal.data == {"field": field}
    assert refusal.message.startswith(field)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " ",
        "\x00",
        "ping",
        "{",
        '{"action":"ping"',
        '{"action":"ping"}}',
        '{"action":"ping"}{"action":"ping"}',
        "{'action':'ping'}",
        '{"action":"ping",}',
        '{"action":"ping","x":NaN}',
        '{"action":"ping","x":Infinity}',
        '{"action":"ping","x":1e999}',
        '{"action":"ping","x":01}',
        '{"action":"ping","x":"\t"}',
        '{"action":"ping","x":"\\ud800"}',
        '{"action":"ping","x":"\\udc00\\ud800"}',
        '{"action":"ping","x":' + "1" * 5000 + "}",
        '{"action":"ping","action":"ping"}',
        '{"action":"subscribe","channels":["*"],"filters":{"phase":["A"],"phase":["B"]}}',
        '{"action":"ping","x":[{"a":1,"\\u0061":2}]}',
        "[" * 60_000,
        '{"action":"ping","x":' + "[" * 30_000 + "]" * 30_000 + "}",
        '\ufeff{"action":"ping"}',
        '{"action":"ping","x":"\ud800"}',
        b'{"action":"ping","x":"\xff"}',
        b'{"action":"ping","x":"\xed\xa0\x80"}',
        b'{"action":"ping","x":"\xc0\xaf"}',
        '{"action":"ping"}'.encode("utf-16"),
        b"\x81\x05hello",
        "null",
        "true",
        "5",
        '"ping"',
        "[]",
        '[{"action":"ping"}]',
        "[" + "1," * 20_000 + "1]",
    ],
)
def test_anything_but_one_json_object_is_refused_as_invalid_json(frame: bytes | str) -> None:
    assert refusal_of(frame).code is ErrorCode.INVALID_JSON


def test_object_that_nests_deeply_is_refused_by_every_python() -> None:
    """Up to Python 3.13 it can't be read; from then on it can, and has no action."""
    frame = '{"a":' * 10_000 + "1" + "}" * 10_000
    assert refusal_of(frame).code in {ErrorCode.INVALID_JSON, ErrorCode.UNKNOWN_ACTION}


def test_repeated_key_is_named() -> None:
    refusal = refusal_of('{"action":"subscribe","channels":["a"],"channels":["b"]}')
    assert refusal.message == 'the key "channels" appears twice in one object'


def test_binary_frame_has_its_refusal() -> None:
    assert binary_frame().code is ErrorCode.INVALID_JSON
    assert "text frame" in binary_frame().message


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("channels", "filters", "after", "since", "last", "channel", "data", "event_id")
almost = st.fixed_dictionaries(
    {"action": st.sampled_from(actions.ACTIONS) | json_values}, optional=dict.fromkeys(FIELDS, json_values)
)


@given(st.text() | st.binary() | almost.map(json.dumps) | json_values.map(json.dumps))
def test_any_frame_is_read_or_refused_and_never_raises_anything_else(frame: bytes | str) -> None:
    try:
        action = decode_action(frame)
    except BadMessage as refusal:
        json.loads(messages.error(refusal.code, refusal.message, NOW, **refusal.data))
        return
    assert isinstance(action, actions.Action)


@given(almost.map(json.dumps).map(str.encode), st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_damaged_frame_is_read_or_refused(frame: bytes, place: int, damage: bytes) -> None:
    place = min(place, len(frame))
    try:
        decode_action(frame[:place] + damage + frame[place + len(damage) :])
    except BadMessage as refusal:
        assert refusal.code in ErrorCode


# Answers.


def test_connected_message() -> None:
    encoded = messages.connected(
        NOW,
        client_id="client_0123456789abcdef",
        tier="developer",
        heartbeat_interval=30.0,
        last_event_id="1768573815123-0",
        epoch="5f2c9a01",
    )
    assert json.loads(encoded) == {
        "type": "connected",
        "timestamp": NOW,
        "data": {
            "client_id": "client_0123456789abcdef",
            "server_time": NOW,
            "version": "1.0.0",
            "tier": "developer",
            "heartbeat_interval": 30,
            "resume": True,
            "last_event_id": "1768573815123-0",
            "epoch": "5f2c9a01",
        },
    }
    assert b'"heartbeat_interval":30,' in encoded


def test_connected_message_before_the_first_event_and_with_a_fraction_of_a_second() -> None:
    encoded = messages.connected(
        NOW, client_id="client_1", tier="public", heartbeat_interval=0.5, last_event_id=None, resume=False
    )
    data = json.loads(encoded)["data"]
    assert (data["heartbeat_interval"], data["last_event_id"], data["resume"]) == (0.5, None, False)


def test_subscribed_message() -> None:
    encoded = messages.subscribed(
        channels=("tmi.*",),
        filters={"airports": ["KJFK"]},
        last_event_id="1-0",
        resumed=True,
        gap=False,
        epoch="5f2c9a01",
        hints=["no airport JFK; KJFK?"],
    )
    assert json.loads(encoded) == {
        "type": "subscribed",
        "channels": ["tmi.*"],
        "filters": {"airports": ["KJFK"]},
        "last_event_id": "1-0",
        "resumed": True,
        "gap": False,
        "epoch": "5f2c9a01",
        "hints": ["no airport JFK; KJFK?"],
    }


def test_unsubscribed_message_names_channels_or_all() -> None:
    assert json.loads(messages.unsubscribed(["tmi.*"])) == {"type": "unsubscribed", "channels": ["tmi.*"]}
    assert json.loads(messages.unsubscribed()) == {"type": "unsubscribed", "channels": ["all"]}


def test_pong_message() -> None:
    assert json.loads(messages.pong(NOW)) == {"type": "pong", "timestamp": NOW}


def test_status_message() -> None:
    encoded = messages.status(
        client_id="client_1", connected_at=NOW, subscriptions=None, messages_sent=3, tier="public"
    )
    assert json.loads(encoded) == {
        "type": "status",
        "data": {
            "client_id": "client_1",
            "connected_at": NOW,
            "subscriptions": None,
            "messages_sent": 3,
            "tier": "public",
        },
    }


@pytest.mark.parametrize("duplicate", [False, True])
def test_publish_ack_message_counts_accepted_and_duplicates(duplicate: bool) -> None:
    assert json.loads(messages.publish_ack(event_id="e-1", id="5-6", duplicate=duplicate)) == {
        "type": "publish_ack",
        "event_id": "e-1",
        "accepted": 0 if duplicate else 1,
        "duplicates": 1 if duplicate else 0,
        "id": "5-6",
    }


def test_error_message_holds_code_and_text_in_both_places() -> None:
    encoded = messages.error(ErrorCode.CONNECTION_LIMIT, "the tier is full", NOW, tier="public", current=5, limit=5)
    assert json.loads(encoded) == {
        "type": "error",
        "timestamp": NOW,
        "code": "CONNECTION_LIMIT",
        "message": "the tier is full",
        "data": {
            "code": "CONNECTION_LIMIT",
            "message": "the tier is full",
            "tier": "public",
            "current": 5,
            "limit": 5,
        },
    }


def test_heartbeat_message_counts_whole_seconds() -> None:
    encoded = messages.heartbeat(
        NOW, connected_clients=2, uptime_seconds=61.9, last_event_id=None, sources={"file": 1.5, "feed": None}
    )
    assert json.loads(encoded) == {
        "type": "system.heartbeat",
        "timestamp": NOW,
        "data": {
            "connected_clients": 2,
            "uptime_seconds": 61,
            "last_event_id": None,
            "sources": {"file": 1.5, "feed": None},
        },
    }
