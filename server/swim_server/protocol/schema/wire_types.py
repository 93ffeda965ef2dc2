"""Every message of the wire as a type, from which the documents are generated. The codecs are in ``messages``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from swim_server.protocol.actions import LEAST_MAX_MESSAGE_BYTES, MAX_CHANNELS, MAX_LAST, MAX_NAME_CHARACTERS
from swim_server.protocol.codes import ErrorCode
from swim_server.protocol.filter_values import MAX_VALUES
from swim_server.protocol.json_data import JsonObject

EventIdText = Annotated[str, Meta(pattern="^[0-9]{1,15}-[0-9]{1,7}$", description="<unix-ms>-<seq>")]
Epoch = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_NAME_CHARACTERS, description="names the order of events that ids belong to"),
]
Time = Annotated[str, Meta(description="RFC 3339, UTC")]
Codes = Annotated[list[str], Meta(max_length=MAX_VALUES)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class Bbox(msgspec.Struct, kw_only=True):
    """A region in degrees, edges included; if ``east < west`` it crosses the antimeridian."""

    north: Latitude
    south: Latitude
    east: Longitude
    west: Longitude


class Filters(msgspec.Struct, kw_only=True):
    """AND between kinds, OR within one. A kind that is named replaces its previous value; empty or null clears it."""

    airports: Codes | UnsetType | None = UNSET
    artccs: Codes | UnsetType | None = UNSET
    firs: Codes | UnsetType | None = UNSET
    constrained_firs: Codes | UnsetType | None = UNSET
    callsign_prefix: Codes | UnsetType | None = UNSET
    phase: Codes | UnsetType | None = UNSET
    dep_window_start: Time | UnsetType | None = UNSET
    dep_window_end: Time | UnsetType | None = UNSET
    bbox: Bbox | UnsetType | None = UNSET


class SubscribeMessage(msgspec.Struct, kw_only=True, tag_field="action", tag="subscribe"):
    """Add channels and merge filters; optionally request history or the state first."""

    channels: Annotated[list[str], Meta(min_length=1, max_length=MAX_CHANNELS)]
    filters: Filters | UnsetType | None = UNSET
    after: EventIdText | UnsetType | None = UNSET
    epoch: Epoch | UnsetType | None = UNSET
    since: Time | UnsetType | None = UNSET
    last: Annotated[int, Meta(ge=0, le=MAX_LAST)] | UnsetType | None = UNSET
    state: bool | Literal["on_gap"] | UnsetType | None = UNSET
    max_message_bytes: Annotated[int, Meta(ge=LEAST_MAX_MESSAGE_BYTES)] | UnsetType | None = UNSET
    notices: bool | UnsetType | None = UNSET


class UnsubscribeMessage(msgspec.Struct, kw_only=True, tag_field="action", tag="unsubscribe"):
    """Remove channels; without a list, all of them and the filters."""

    channels: list[str] | UnsetType | None = UNSET


class PingMessage(msgspec.Struct, tag_field="action", tag="ping"):
    """Ask for a ``pong``."""


class StatusRequest(msgspec.Struct, tag_field="action", tag="status"):
    """Request what the server knows about this connection."""


class PublishMessage(msgspec.Struct, kw_only=True, tag_field="action", tag="publish"):
    """Publish an event; system tier only."""

    channel: str
    data: JsonObject
    event_id: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)] | UnsetType | None = UNSET


class MadeUpEvent(msgspec.Struct, kw_only=True):
    """An event that need not exist."""

    type: str
    data: JsonObject | UnsetType = UNSET


class ExplainMessage(msgspec.Struct, kw_only=True, tag_field="action", tag="explain"):
    """Ask why this connection's subscription passes or stops an event."""

    event: str | MadeUpEvent


class ConnectedData(msgspec.Struct, kw_only=True):
    """The data of the first message."""

    client_id: Annotated[str, Meta(pattern="^client_[0-9a-f]{16}$")]
    server_time: Time
    version: str
    tier: str
    heartbeat_interval: float
    resume: bool
    last_event_id: EventIdText | None
    epoch: Epoch | None


class Connected(msgspec.Struct, kw_only=True, tag_field="type", tag="connected"):
    """The first message of a connection: the key is valid."""

    timestamp: Time
    data: ConnectedData


class Subscribed(msgspec.Struct, kw_only=True, tag_field="type", tag="subscribed"):
    """The answer to ``subscribe``: the subscription as it is from now on."""

    channels: list[str]
    filters: Filters
    last_event_id: EventIdText | None
    resumed: bool
    gap: bool
    epoch: Epoch | None
    hints: list[str]
    state_as_of: EventIdText | UnsetType | None = UNSET


class Unsubscribed(msgspec.Struct, kw_only=True, tag_field="type", tag="unsubscribed"):
    """The answer to ``unsubscribe``: ``["all"]`` if no channel is left."""

    channels: list[str]


class Pong(msgspec.Struct, kw_only=True, tag_field="type", tag="pong"):
    """The answer to ``ping``."""

    timestamp: Time


class Subscriptions(msgspec.Struct, kw_only=True):
    """Channels and filters of a connection."""

    channels: list[str]
    filters: Filters


class StatusData(msgspec.Struct, kw_only=True):
    """What the server knows about a connection."""

    client_id: str
    connected_at: Time
    subscriptions: Subscriptions | None
    messages_sent: int
    tier: str | UnsetType = UNSET
    buffered_bytes: int | UnsetType = UNSET
    catching_up: bool | UnsetType = UNSET
    last_event_id: EventIdText | UnsetType = UNSET


class StatusAnswer(msgspec.Struct, kw_only=True, tag_field="type", tag="status"):
    """The answer to ``status``."""

    data: StatusData


class PublishAck(msgspec.Struct, kw_only=True, tag_field="type", tag="publish_ack"):
    """The answer to ``publish``: the event is stored, now or, for a duplicate, earlier."""

    event_id: str | None
    accepted: Literal[0, 1]
    duplicates: Literal[0, 1]
    id: EventIdText


class Explained(msgspec.Struct, kw_only=True, tag_field="type", tag="explained"):
    """The answer to ``explain``."""

    data: JsonObject


class ErrorMessage(msgspec.Struct, kw_only=True, tag_field="type", tag="error"):
    """A refusal; code and text also in ``data``."""

    timestamp: Time
    code: ErrorCode
    message: str
    data: JsonObject


class StatePart(msgspec.Struct, kw_only=True, tag_field="type", tag="state"):
    """A part of the state as of an event id. ``data`` has the entries under the name of their kind."""

    as_of: EventIdText
    kind: str
    part: Annotated[int, Meta(ge=1)]
    is_last: bool
    data: dict[str, list[JsonObject]]


class StateEntered(msgspec.Struct, kw_only=True, tag_field="type", tag="state.entered"):
    """An entry after an event that brought it into the filters, or that does not pass them by itself."""

    id: EventIdText
    kind: str
    data: JsonObject


class StateLeft(msgspec.Struct, kw_only=True, tag_field="type", tag="state.left"):
    """An entry that an event removed from the filters, or from the state; its key is in the key fields of its kind."""

    id: EventIdText
    kind: str
    flight_uid: int | UnsetType | None = UNSET
    callsign: str | UnsetType | None = UNSET


CLIENT_MESSAGES: tuple[type[msgspec.Struct], ...] = (
    SubscribeMessage, UnsubscribeMessage, PingMessage, StatusRequest, PublishMessage, ExplainMessage,
)  # fmt: skip
SERVER_MESSAGES: tuple[type[msgspec.Struct], ...] = (
    Connected, Subscribed, Unsubscribed, Pong, StatusAnswer, PublishAck, Explained, ErrorMessage, StatePart,
    StateEntered, StateLeft,
)  # fmt: skip
