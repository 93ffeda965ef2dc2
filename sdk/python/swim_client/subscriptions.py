"""What the program asks for: its subscriptions, its other requests on their way to the network, and their answers.

Any thread may ask. All subscriptions of the program are sent to the server in one message.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import (
    Any,
    Callable,
    Deque,
    Dict,
    Generator,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from swim_client.errors import SwimError
from swim_client.inbox import Signal
from swim_client.resume import parse_id

MAX_WAITING = 1000
Channels = Union[str, Iterable[str]]
_SPAN = re.compile(r"([0-9]{1,6})\s*([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Answer:
    """What ``subscribe``, ``ping``, ``status`` and ``publish`` return at once; the answer, or an error, follows later.

    ``await answer`` in async code; ``answer.result(timeout)`` elsewhere. It may also be ignored.
    """

    def __init__(self, is_own_thread: Callable[[], bool] = lambda: False) -> None:
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # from here on, cancelling one who waits doesn't touch it
        self._is_own_thread = is_own_thread

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()

    def result(self, timeout: Optional[float] = None) -> Any:
        """Block until the answer has arrived. Raises the request's error, or TimeoutError after ``timeout`` seconds."""
        if not self.done() and self._is_own_thread():
            raise RuntimeError("the answer comes through this very thread: await it instead")
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            raise TimeoutError(f"no answer within {timeout} s") from None

    def done(self) -> bool:
        """Return True if the answer, or an error, has arrived."""
        return self._future.done()

    def add_done_callback(self, callback: Callable[[Answer], None]) -> None:
        """Call ``callback(answer)`` when it is done, in the thread that completes it."""
        self._future.add_done_callback(lambda _: callback(self))

    def error(self) -> Optional[BaseException]:
        """Return the request's error, once done; None if it succeeded."""
        return self._future.exception(0)

    def resolve(self, value: Any = None) -> None:
        """Set the answer. Only the first one counts."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Set an error instead."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._future.set_exception(error)

    def __repr__(self) -> str:
        return f"Answer({'pending' if not self.done() else self.error() or 'done'})"


class Command:
    """One request, and the answer to complete."""

    def __init__(
        self,
        message: Dict[str, Any],
        answer_type: str,
        answer: Answer,
        *,
        version: int = 0,
        wish: Optional[PendingSubscription] = None,
        is_repeatable: bool = False,
    ) -> None:
        self.message = message
        self.answer_type = answer_type
        self.answer = answer
        self.version = version
        """Of ``subscribe`` and ``unsubscribe``: the change of the subscriptions that it tells the server."""
        self.wish = wish
        self.is_repeatable = is_repeatable
        """May be sent again over the next connection: it does no harm if the server got it twice."""

    @property
    def action(self) -> str:
        return str(self.message["action"])


class TooManyRequests(SwimError):
    """The program sends requests faster than the server permits."""

    def __str__(self) -> str:
        return f"{MAX_WAITING} requests wait already; await their answers"


class Commands:
    """A bounded queue. Any thread may put; only the loop in which it was created takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Deque[Command] = deque()
        self._closed_with: Optional[SwimError] = None
        self._signal = Signal()

    def put(self, command: Command) -> None:
        """Add a request. Its answer fails at once if the queue is full or closed."""
        with self._lock:
            error = self._closed_with or (TooManyRequests() if len(self._waiting) >= MAX_WAITING else None)
            if error is None:
                self._waiting.append(command)
        if error is None:
            self._signal.set()
        else:
            command.answer.fail(error)

    def put_back(self, command: Command) -> None:
        """Make an interrupted request the next one."""
        with self._lock:
            self._waiting.appendleft(command)
        self._signal.set()

    async def get(self) -> Command:
        """Return the oldest request, waiting for one if there is none."""
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.popleft()
                self._signal.clear()
            await self._signal.wait()

    async def wait(self) -> None:
        """Wait until there is a request."""
        while not self._waiting:
            self._signal.clear()
            if not self._waiting:
                await self._signal.wait()

    def close(self, error: SwimError) -> None:
        """Fail all pending and future requests."""
        with self._lock:
            self._closed_with = error
            waiting, self._waiting = self._waiting, deque()
        for command in waiting:
            command.answer.fail(error)


@dataclass
class SubscriptionFilters:
    """Filters as one value: ``subscribe(channels, filters=SubscriptionFilters(airports=["KJFK"]))``."""

    airports: Union[str, List[str], None] = None
    artccs: Union[str, List[str], None] = None
    callsign_prefix: Union[str, List[str], None] = None
    bbox: Any = None
    firs: Union[str, List[str], None] = None
    constrained_firs: Union[str, List[str], None] = None
    phase: Union[str, List[str], None] = None
    dep_window_start: Union[str, datetime, None] = None
    dep_window_end: Union[str, datetime, None] = None

    def to_dict(self) -> Dict[str, Any]:
        """Return the kinds that are set."""
        return {name: value for name, value in vars(self).items() if value is not None}


class PendingSubscription:
    """One ``subscribe`` of the program."""

    def __init__(
        self,
        channels: Sequence[str],
        filters: Optional[Mapping[str, Any]] = None,
        history: Optional[Mapping[str, Any]] = None,
        answer: Optional[Answer] = None,
        state: bool = False,
    ) -> None:
        self.state = state
        """The program wants the state first."""
        self.channels = list(dict.fromkeys(channels))
        self.filters = dict(filters or {})
        """Kind to value. A kind named again replaces its value; an empty list clears it."""
        self.history = dict(history or {})
        """One of ``after``, ``since``, ``last``, or nothing."""
        self.answer = answer
        self.is_confirmed = False


class Snapshot(NamedTuple):
    """The subscriptions at one moment."""

    wishes: List[PendingSubscription]
    version: int


class Subscriptions:
    """All subscriptions, across connections. Any thread may change them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wishes: List[PendingSubscription] = []
        self._version = 0
        """Counts changes: a change that a connection's first message included isn't sent again."""

    def __bool__(self) -> bool:
        return bool(self._wishes)

    def add(self, wish: PendingSubscription) -> int:
        """Add a subscription. Returns the version of this change."""
        with self._lock:
            self._wishes.append(wish)
            self._version += 1
            return self._version

    def remove(self, channels: Sequence[str]) -> int:
        """Remove channels; if none are named, all. With the last channel the filters go too. Returns the version."""
        gone = set(channels)
        with self._lock:
            for wish in self._wishes:
                wish.channels = [channel for channel in wish.channels if gone and channel not in gone]
            if not any(wish.channels for wish in self._wishes):
                self._wishes = []
            self._version += 1
            return self._version

    def snapshot(self) -> Snapshot:
        """Return the current subscriptions."""
        with self._lock:
            return Snapshot(list(self._wishes), self._version)

    def confirm(self, wishes: Iterable[PendingSubscription]) -> None:
        """Merge the granted subscriptions, so that the list stays short in a program that subscribes often."""
        with self._lock:
            for wish in wishes:
                wish.is_confirmed = True
            granted = [wish for wish in self._wishes if wish.is_confirmed]
            if granted:
                channels, filters, history = merge(granted)
                # ``since`` stays: should the connection end before any event came, it is asked for again.
                whole = PendingSubscription(
                    channels, filters, {"since": history["since"]} if "since" in history else None
                )
                whole.state = any(wish.state for wish in granted)
                whole.is_confirmed = True
                self._wishes = [whole] + [wish for wish in self._wishes if not wish.is_confirmed]

    def refuse(self, wish: PendingSubscription) -> None:
        """Drop what the server refused, so that it does not spoil the others after a reconnect."""
        with self._lock:
            self._wishes = [kept for kept in self._wishes if kept is not wish]

    def wants_state(self, *, granted_only: bool = False) -> bool:
        """Return True if any subscription, pending or granted, is to begin with the state."""
        with self._lock:
            return any(wish.state for wish in self._wishes if wish.is_confirmed or not granted_only)

    def has_filters(self) -> bool:
        """Return True if filters exclude some events."""
        with self._lock:
            return any(value not in (None, [], {}) for value in merge(self._wishes)[1].values())

    def covers(self, wish: PendingSubscription) -> bool:
        """Return True if what was granted already includes this subscription."""
        with self._lock:
            channels, filters, _ = merge([granted for granted in self._wishes if granted.is_confirmed])
        if wish.state and not self.wants_state(granted_only=True):
            return False
        return set(wish.channels) <= set(channels) and all(
            filters.get(kind) == wish.filters[kind] for kind in wish.filters
        )


def merge(wishes: Iterable[PendingSubscription]) -> Tuple[List[str], Dict[str, Any], Dict[str, Any]]:
    """Merge subscriptions: channels add up, filters merge by kind, the first requested history counts."""
    channels: Dict[str, None] = {}
    filters: Dict[str, Any] = {}
    history: Dict[str, Any] = {}
    for wish in wishes:
        channels.update(dict.fromkeys(wish.channels))
        filters.update(wish.filters)
        history = history or wish.history
    return list(channels), filters, history


def read_channels(channels: Channels) -> List[str]:
    """Convert a name or several, plain or EventType, to a list. Raises TypeError, ValueError for an invalid channel."""
    given = [channels] if isinstance(channels, str) else list(channels)
    names = [name.value if isinstance(name, Enum) else name for name in given]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a channel is a string such as 'flight.departed', not {name!r}")
        if not name.strip():
            raise ValueError("a channel is a name such as 'flight.departed', not an empty string")
    return [name.strip() for name in names]


def read_filters(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Convert filters to the wire format; kinds that are None are omitted. The server validates their values."""
    return {kind: _filter_value(kind, value) for kind, value in given.items() if value is not None}


def _filter_value(kind: str, value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if kind == "bbox":
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, (list, tuple)) and len(value) == 4:
            north, south, east, west = value
            return {"north": north, "south": south, "east": east, "west": west}
        return value
    if isinstance(value, str):
        return value if kind.startswith("dep_window") else [value]
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else value


def read_history(
    after: Optional[str], since: Union[str, datetime, timedelta, None], last: Optional[int]
) -> Dict[str, Any]:
    """Convert the requested history to the wire format. Raises ValueError if more than one is given.

    A duration in ``since`` (``"10m"``, a timedelta) counts back from now.
    """
    if isinstance(since, str):
        since = read_span(since) or since
    if isinstance(since, timedelta):
        since = datetime.now(timezone.utc) - since
    if isinstance(since, datetime):
        since = _filter_value("since", since)
    history = {name: value for name, value in (("after", after), ("since", since), ("last", last)) if value is not None}
    if len(history) > 1:
        raise ValueError(f"only one of after, since and last can be given, not {' and '.join(history)}")
    if after is not None and parse_id(after) is None:
        raise ValueError(f"after: {after!r} is no event id; one looks like 1768573815123-0")
    return history


def read_span(text: str) -> Optional[timedelta]:
    """Parse a duration such as ``90s``, ``10m``, ``2h`` or ``1d``; None for anything else."""
    match = _SPAN.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
