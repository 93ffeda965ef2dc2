"""What primary and worker say to each other. Both run the same code, so nothing here has to stay as it is."""

from __future__ import annotations

import msgspec

from swim_server.brokers.broker import HistorySpan, Published, StorageState
from swim_server.config import Config
from swim_server.keys.records import KeyRecord, Refused, Unavailable
from swim_server.keys.write_behind.endings import Ending
from swim_server.streaming.admission import LimitReached
from swim_server.workers.link import Note, Question
from swim_server.workers.report import Report


class Nothing(msgspec.Struct):
    """An answer or a question without content."""


NOTHING = Nothing()

# The life of a worker.


class Welcome(msgspec.Struct, kw_only=True):
    """The first message to a worker."""

    config: Config
    home: str
    fingerprint: str
    """Of the primary's code."""


class Ready(msgspec.Struct, kw_only=True):
    """A worker can be given connections."""

    capacity: int
    """The maximum number of connections."""


class Unusable(msgspec.Struct):
    """A worker will serve nobody any more, and why."""

    reason: str
    is_final: bool
    """Another one could not either."""


class ServiceNews(msgspec.Struct, kw_only=True):
    """What a worker tells its clients about the whole service; each second."""

    clients: int
    uptime_seconds: float
    sources: dict[str, float | None]
    epoch: str
    generation: int


class Opened(msgspec.Struct):
    """How many descriptors a worker has received, and how many of those connections are open."""

    received: int
    open: int


class Leave(msgspec.Struct):
    """How a worker asks its clients to reconnect."""

    is_paced: bool
    first: int
    """The number of its first client among those of all processes, which determines after how long each reconnects."""


# Connections that are passed on.


class PlainRequest(msgspec.Struct):
    """A connection whose request is not for a WebSocket; its descriptor comes beside."""

    token: int
    data: bytes
    """What has been read of it."""
    peer: tuple[str, int] | None = None
    """Set if the descriptor is one end of a relay: the client's address and port."""


# Events.


class Events(msgspec.Struct, array_like=True):
    """Stored events, in the order of their ids: id, type and wire form of each."""

    generation: int
    """Of history's file, which is replaced when it is damaged."""
    rows: list[tuple[int, str, bytes]]


class Position(msgspec.Struct):
    """Where a worker begins to follow."""

    newest: int
    epoch: str
    generation: int


class NewRow(msgspec.Struct, array_like=True):
    """A NewEvent. Texts are bytes, as a producer's may contain what is no character."""

    type: bytes
    data: bytes
    """In JSON."""
    timestamp_ms: int | None
    event_id: bytes | None


class Publication(msgspec.Struct):
    """Events to be stored."""

    events: list[NewRow]
    is_durable: bool = False


class Range(msgspec.Struct):
    """A range of ids, (after, up to)."""

    after: int
    up_to: int


class GapQuestion(msgspec.Struct):
    """Whether anything after an id may be gone."""

    after: int
    types: list[str] | None


# Keys and limits.


class Presented(msgspec.Struct):
    """A key as a client presented it."""

    api_key: str
    address: str
    ticket: str | None = None
    """A ticket presented instead."""


class Decided(msgspec.Struct):
    """The decision about a key: one of the first three."""

    granted: KeyRecord | None = None
    refused: Refused | None = None
    unavailable: Unavailable | None = None
    api_key: str | None = None
    """The key that the ticket stood for."""
    is_announced: bool = False
    """The key was announced as a bad one by the doctor."""


class Place(msgspec.Struct):
    """A connection's place in its tier."""

    tier: str
    key_id: int


class Claimed(msgspec.Struct):
    """Whether the place was given."""

    reached: LimitReached | None = None
    """Which limit is reached; None: it was given."""


class LimitRefusal(msgspec.Struct):
    """A connection refused for a reason other than its key."""

    refused: Refused
    address: str | None


class BadKey(msgspec.Struct):
    """A refused key, for the count of its address in the other processes."""

    address: str
    mark: bytes
    """The reason, or a digest of the key."""


class KeyIds(msgspec.Struct):
    """Keys whose rows are to be read."""

    ids: list[int]


class KeyRows(msgspec.Struct):
    """Their rows."""

    rows: dict[int, KeyRecord | None]


class ChangedKey(msgspec.Struct, kw_only=True):
    """A key that was changed."""

    key_id: int
    seconds: float = 0.0
    """How long ago."""
    ending: Ending | None = None
    """Set if it was ended although the database can't store that yet."""
    ended: str | None = None
    """The state in which another node has just read it, if it is ended there."""


class Recheck(msgspec.Struct):
    """All keys are to be checked."""

    forgets: bool
    """Decisions about them are not to be relied on any more."""


class Closed(msgspec.Struct):
    """How many connections were closed."""

    connections: int


class Excess(msgspec.Struct):
    """How many connections of a tier are to be given up: other nodes have used their places."""

    tier: str
    connections: int


# What is asked of all processes.


class Asked(msgspec.Struct):
    """A method of the control socket, and its params in JSON."""

    method: str
    params: bytes


class Reply(msgspec.Struct):
    """The answer in JSON."""

    result: bytes


WELCOME = Note("welcome", Welcome)
READY = Note("ready", Ready)
UNUSABLE = Note("unusable", Unusable)
NEWS = Note("news", ServiceNews)
REPORT = Note("report", Report)
OPENED = Note("opened", Opened)
LOG = Note("log", str)
PLAIN = Note("plain", PlainRequest)
EVENTS = Note("events", Events)
UNREADABLE = Note("unreadable", Range)
OPENED_LATE = Note("opened late", Position)
HOLE = Note("hole", Position)
"""Events are missing before those that come next: every client must resume."""
ROTTEN = Note("rotten", list[Range])
SUSPECT = Note("suspect", Nothing)
RELEASE = Note("release", Place)
LIMIT_REFUSAL = Note("limit refusal", LimitRefusal)
BAD_KEY = Note("bad key", BadKey)
EVICT = Note("evict", Place)
GIVE_UP = Note("give up", Excess)
RESUME = Note("resume", Nothing)
RESETTLE = Note("resettle", Nothing)

FOLLOW = Question("follow", Nothing, Position)
PUBLISH = Question("publish", Publication, list[Published])
HAS_GAP = Question("has gap", GapQuestion, bool)
SPAN = Question("span", Nothing, HistorySpan)
STORAGE = Question("storage", Nothing, StorageState)
AUTHENTICATE = Question("authenticate", Presented, Decided)
CLAIM = Question("claim", Place, Claimed)
CHECK_KEYS = Question("check keys", KeyIds, KeyRows)
KEY_CHANGED = Question("key changed", ChangedKey, Closed)
RECHECK = Question("recheck", Recheck, Nothing)
PAUSE = Question("pause", Nothing, Nothing)
LEAVE = Question("leave", Leave, Nothing)
RELOAD = Question("reload", Config, Nothing)
RELOAD_TLS = Question("reload tls", Nothing, Nothing)
LOOK = Question("look", Nothing, Report)
ASK = Question("ask", Asked, Reply)
