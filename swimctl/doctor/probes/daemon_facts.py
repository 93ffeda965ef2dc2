"""Asking the running process, and believing of its answer only what has the right shape."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from swimctl.doctor.check import Answer, unknown
from swimctl.errors import CommandError

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

T = TypeVar("T")
Ask = Callable[["DoctorContext"], Awaitable[Answer]]

METHOD_NOT_FOUND = -32601


class CannotAsk(Exception):
    """What a check wants to know can't be found out just now: why, and what to type."""

    def __init__(self, problem: str, fix: str | None = None) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem)


def expecting(expected: str) -> Callable[[Ask], Ask]:
    """Let a check answer ``unknown`` where what it asks can't be told."""

    def wrap(ask: Ask) -> Ask:
        @functools.wraps(ask)
        async def careful(context: DoctorContext) -> Answer:
            try:
                return await ask(context)
            except CannotAsk as trouble:
                return unknown(expected, trouble.problem, trouble.fix)

        return careful

    return wrap


async def asked(context: DoctorContext, method: str, shape: type[T], *, anew: bool = False, **params: Any) -> T:
    """Return a method's answer as ``shape``; asked once in a run unless ``anew``. Raises CannotAsk, RpcFailed."""
    from swimctl.client.session import RpcFailed

    try:
        ask = context.ask_anew if anew else context.ask
        return msgspec.convert(await ask(method, **params), shape)
    except RpcFailed as failed:
        if failed.code == METHOD_NOT_FOUND:
            raise CannotAsk(f"the running process knows no {method}: its code is older", "swimctl restart") from None
        raise
    except CommandError as error:
        raise CannotAsk(error.problem, error.next_step) from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise CannotAsk(f"the answer to {method} can't be read: {error}", "swimctl restart") from None


async def service_url(context: DoctorContext) -> str:
    """Where the running process lets clients in. Raises CannotAsk."""
    url = (await asked(context, "status", _Status)).url
    if not url:
        raise CannotAsk("the running process doesn't listen yet")
    return url


class _Status(msgspec.Struct):
    url: str | None = None


class TierPromise(msgspec.Struct):
    """The limits of one tier as the process applies them."""

    connections: int
    connections_per_key: int | None
    messages_per_second: int
    current: int


class KindPromise(msgspec.Struct):
    """How long history keeps one kind of events, and whether something of it is missing."""

    keep_seconds: float
    has_gap: bool | None


class HistoryPromise(msgspec.Struct):
    """Retention as the process applies it."""

    max_bytes: int
    events: KindPromise
    positions: KindPromise
    problem: str | None = None


class SourcePace(msgspec.Struct):
    """How often a source looks at its input."""

    name: str
    pace_seconds: float
    path: str | None = None


class Promises(msgspec.Struct):
    """What the process holds itself to."""

    tiers: dict[str, TierPromise]
    history: HistoryPromise
    sources: list[SourcePace]
    heartbeat_seconds: float
    recheck_seconds: float
    now_ms: int


async def promises(context: DoctorContext) -> Promises:
    """Limits, retention, paces. Raises CannotAsk."""
    return await asked(context, "promises", Promises)
