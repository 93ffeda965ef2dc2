"""The actions that clients send, read and validated. What the server answers is in ``messages``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

import msgspec

from swim_server.protocol.codes import BadMessage, ErrorCode, show
from swim_server.protocol.event_id import MAX_MILLISECONDS, MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.json_data import InvalidData, JsonObject, check_data
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_CHANNELS = 1000
"""Maximum number of channels in one message."""
MAX_LAST = 100_000
"""Maximum number of past events that a client may request with ``last``."""
LEAST_MAX_MESSAGE_BYTES = 4096
"""Minimum for ``max_message_bytes``: hardly any event would fit into less."""
MAX_NAME_CHARACTERS = 128
"""Maximum length of a channel, an epoch or a publisher's event id, in characters."""

_ID_SHAPE = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
"""What looks like an event id. An id outside the range of ours was never given to a stored event."""


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", tag="subscribe"):
    """Add channels, merge filters and, optionally, request history first."""

    channels: list[str]
    """At least one, each once, without surrounding blanks. Whether they exist is checked by the catalogue."""
    filters: Any = None
    """As the client sent them: ``filters.merge`` reads them."""
    after: str | None = None
    """The id of the last event that the client saw. At most one of ``after``, ``since`` and ``last`` is given."""
    epoch: str | None = None
    """The order of events that ``after`` belongs to, as the server named it; None: the client doesn't know."""
    since: str | None = None
    """RFC 3339 time."""
    last: int | None = None
    """A number of events."""
    max_message_bytes: int | None = None
    """The longest message that the client accepts."""
    state: bool | Literal["on_gap"] = False
    """Send the current state first; ``on_gap``: only if history does not reach back to ``after``."""
    notices: bool = False
    """The client wants an error message before a temporary close."""


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", tag="unsubscribe"):
    """Remove channels; without a list, all of them and the filters."""

    channels: list[str] = []


class Ping(msgspec.Struct, frozen=True, tag_field="action", tag="ping"):
    """Ask for a ``pong``."""


class Status(msgspec.Struct, frozen=True, tag_field="action", tag="status"):
    """Request what the server knows about this connection."""


class Publish(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", tag="publish"):
    """Publish an event."""

    channel: str
    """The event's type. Whether it exists is checked by the catalogue."""
    data: JsonObject
    event_id: str | None = None
    """The publisher's own name for the event."""


class Explain(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", tag="explain"):
    """Ask why this connection's subscription passes or stops an event, which may be stored or invented."""

    event_id: str | None = None
    """Id of a stored event; None: type and data are given."""
    type: str | None = None
    """Whether it exists is checked by the catalogue."""
    data: JsonObject = {}


Action = Subscribe | Unsubscribe | Ping | Status | Publish | Explain
ACTIONS = ("subscribe", "unsubscribe", "ping", "status", "publish", "explain")


def decode_action(frame: bytes | str) -> Action:
    """Decode a client's message. Unknown fields are ignored. Raises BadMessage, and nothing else, for any input."""
    message = _decode_object(frame)
    action = message.get("action")
    match action:
        case "subscribe":
            return _subscribe(message)
        case "unsubscribe":
            channels = message.get("channels")
            return Unsubscribe(channels=[] if channels == {} else _channels(channels, "unsubscribe"))
        case "ping":
            return Ping()
        case "status":
            return Status()
        case "publish":
            return _publish(message)
        case "explain":
            return _explain(message)
    known = ", ".join(ACTIONS)
    text = (
        f"unknown action {show(action)}: there are {known}" if "action" in message else f"no action: there are {known}"
    )
    raise BadMessage(ErrorCode.UNKNOWN_ACTION, text, {"actions": list(ACTIONS)})


def binary_frame() -> BadMessage:
    """Return the refusal of a binary frame, which is never read."""
    return BadMessage(ErrorCode.INVALID_JSON, "binary frames are not accepted: send JSON in a text frame")


def _decode_object(frame: bytes | str) -> JsonObject:
    try:
        message = msgspec.json.decode(frame)
        if isinstance(message, dict):
            json.loads(frame, object_pairs_hook=_without_repeats)
            return message
    except RecursionError:
        raise BadMessage(ErrorCode.INVALID_JSON, "not read: nested too deeply") from None
    except UnicodeError:
        raise BadMessage(ErrorCode.INVALID_JSON, "not valid UTF-8") from None
    except _RepeatedKey as repeated:
        text = f"the key {show(repeated.key)} appears twice in one object"
        raise BadMessage(ErrorCode.INVALID_JSON, text) from None
    except ValueError as wrong:
        raise BadMessage(ErrorCode.INVALID_JSON, f"not valid JSON: {wrong}") from None
    raise BadMessage(ErrorCode.INVALID_JSON, f"a message is a JSON object, not {show(message)}")


class _RepeatedKey(ValueError):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _RepeatedKey(next(key for key in counts if counts[key] > 1))


def _subscribe(message: Mapping[str, object]) -> Subscribe:
    channels = _channels(message.get("channels"), "subscribe")
    if not channels:
        _refuse_subscribe('channels: a subscribe names at least one, like ["flight.*"]', "channels")
    history = [field for field in ("after", "since", "last") if message.get(field) is not None]
    if len(history) > 1:
        _refuse_subscribe(f"only one of after, since and last can be given, got {' and '.join(history)}", history[1])
    return Subscribe(
        channels=channels,
        filters=message.get("filters"),
        after=_after(message.get("after")),
        epoch=read_epoch(message.get("epoch")),
        since=_since(message.get("since")),
        last=_last(message.get("last")),
        max_message_bytes=read_max_message_bytes(message.get("max_message_bytes")),
        notices=_notices(message.get("notices")),
        state=_state(message.get("state"), history),
    )


def _channels(value: object, action: str) -> list[str]:
    """Read a list of channels: stripped, deduplicated, in the order given. Null is an empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        _refuse_subscribe(f'channels: must be a list of strings, like ["flight.*"], got {show(value)}', "channels")
    if len(value) > MAX_CHANNELS:
        _refuse_subscribe(f"channels: at most {MAX_CHANNELS} in one {action}, got {len(value)}", "channels")
    for channel in value:
        if not isinstance(channel, str):
            _refuse_subscribe(f"channels: each must be a string, got {show(channel)}", "channels")
    return list(dict.fromkeys(channel.strip() for channel in value))


def _after(value: object) -> str | None:
    if value is None:
        return None
    try:
        return str(EventId.parse(value))
    except InvalidEventId:
        if isinstance(value, str) and _ID_SHAPE.fullmatch(value):
            return str(EventId(MAX_MILLISECONDS, MAX_SEQUENCE))  # never given out: an unknown id, not an unreadable one
        _refuse_subscribe(f"after: {show(value)} is not an event id; one looks like 1768573815123-0", "after")


def read_epoch(value: object) -> str | None:
    """Read the name of an order of events, as ``connected`` and ``subscribed`` tell it. Raises BadMessage."""
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        rule = f"must be a string of 1 to {MAX_NAME_CHARACTERS} characters, as in the connected message"
        _refuse_subscribe(f"epoch: {rule}, got {show(value)}", "epoch")
    return value


def _since(value: object) -> str | None:
    if value is None:
        return None
    try:
        parse_ms(value)
    except InvalidTimestamp:
        _refuse_subscribe(f"since: {show(value)} is not an RFC 3339 time; one looks like 2026-01-16T14:30:15Z", "since")
    return str(value)


def _last(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_LAST:
        _refuse_subscribe(f"last: must be a whole number from 0 to {MAX_LAST}, got {show(value)}", "last")
    return value


def read_max_message_bytes(value: object) -> int | None:
    """Read the longest message that a client accepts, at most ours. Raises BadMessage."""
    if value is None:
        return None
    if type(value) is not int or value < LEAST_MAX_MESSAGE_BYTES:
        rule = f"must be a whole number of {LEAST_MAX_MESSAGE_BYTES:,} or more"
        _refuse_subscribe(f"max_message_bytes: {rule}, got {show(value)}", "max_message_bytes")
    return min(value, MAX_MESSAGE_BYTES)


def _notices(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        _refuse_subscribe(f"notices: must be true or false, got {show(value)}", "notices")
    return bool(value)


def _state(value: object, history: Sequence[str]) -> bool | Literal["on_gap"]:
    if value is None or value is False:
        return False
    if value == "on_gap":
        if "after" not in history:
            _refuse_subscribe('state: "on_gap" needs after, which is missing', "state")
        return "on_gap"
    if value is not True:
        _refuse_subscribe(f'state: must be true, false or "on_gap", got {show(value)}', "state")
    if history:
        hint = 'with after, use "on_gap"' if "after" in history else "send two subscribe messages"
        _refuse_subscribe(f"state: true and {history[0]} can't be given together: {hint}", "state")
    return True


def _refuse_subscribe(text: str, field: str) -> NoReturn:
    raise BadMessage(ErrorCode.INVALID_SUBSCRIBE, text, {"field": field})


def _publish(message: Mapping[str, object]) -> Publish:
    channel, data, event_id = message.get("channel"), message.get("data"), message.get("event_id")
    if not isinstance(channel, str) or not channel.strip():
        _refuse_publish(f"channel: must be an event type, like flight.departed, got {show(channel)}", "channel")
    if not isinstance(data, dict):
        _refuse_publish(f"data: must be an object, got {show(data)}", "data")
    if event_id is not None and not (isinstance(event_id, str) and 0 < len(event_id) <= MAX_NAME_CHARACTERS):
        _refuse_publish(
            f"event_id: must be a string of 1 to {MAX_NAME_CHARACTERS} characters, got {show(event_id)}", "event_id"
        )
    try:
        check_data(data)
    except InvalidData as wrong:
        _refuse_publish(str(wrong), wrong.path)
    return Publish(channel=channel.strip(), data=data, event_id=event_id)


def _refuse_publish(text: str, field: str) -> NoReturn:
    raise BadMessage(ErrorCode.INVALID_PUBLISH, text, {"field": field})


def _explain(message: Mapping[str, object]) -> Explain:
    event = message.get("event")
    if isinstance(event, str):
        try:
            return Explain(event_id=str(EventId.parse(event.strip())))
        except InvalidEventId as wrong:
            raise BadMessage(ErrorCode.INVALID_EXPLAIN, f"event: {wrong}", {"field": "event"}) from None
    if not isinstance(event, dict):
        rule = 'must be an event id, or an object like {"type": "flight.departed", "data": {}}'
        text = f"event: {rule}, got {show(event)}"
        raise BadMessage(ErrorCode.INVALID_EXPLAIN, text, {"field": "event"})
    event_type, data = event.get("type"), event.get("data", {})
    if not isinstance(event_type, str) or not event_type.strip():
        text = f"event.type: must be an event type, like flight.departed, got {show(event_type)}"
        raise BadMessage(ErrorCode.INVALID_EXPLAIN, text, {"field": "event.type"})
    if not isinstance(data, dict):
        text = f"event.data: must be an object, got {show(data)}"
        raise BadMessage(ErrorCode.INVALID_EXPLAIN, text, {"field": "event.data"})
    return Explain(type=event_type.strip(), data=data)
