"""What the running process answers: asked over the control socket, read as the documents that it should be."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from swim_server.daemon.control.documents.diagnostics import Promises
from swim_server.daemon.control.documents.process import ConfigChanges
from swim_server.daemon.control.documents.status import Status

from swimctl.client.answers import read_answer
from swimctl.doctor.check import Answer, command_in, unknown
from swimctl.errors import CommandError

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

T = TypeVar("T")
Ask = Callable[["DoctorContext"], Awaitable[Answer]]

METHOD_NOT_FOUND = -32601


class CannotAsk(Exception):
    """What a check wants to know can't be found out at the moment: why, and what to type."""

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
                return unknown(expected, trouble.problem, command_in(trouble.fix))

        return careful

    return wrap


async def asked(context: DoctorContext, method: str, shape: type[T], *, anew: bool = False, **params: Any) -> T:
    """Ask a method and read its answer as ``shape``; once in a run unless ``anew``. Raises CannotAsk, RpcFailed."""
    return await _read(context.ask_anew if anew else context.ask, method, shape, params)


async def acted(context: DoctorContext, method: str, shape: type[T], **params: Any) -> T:
    """Have the process do something, and read its answer: it is no fact. Raises as ``asked``."""
    return await _read(context.act, method, shape, params)


async def _read(ask: Callable[..., Awaitable[Any]], method: str, shape: type[T], params: dict[str, Any]) -> T:
    from swimctl.client.session import RpcFailed

    try:
        return read_answer(method, await ask(method, **params), shape)
    except RpcFailed as failed:
        if failed.code == METHOD_NOT_FOUND:
            raise CannotAsk(
                f"the running process does not know {method}: its code is older", "swimctl restart"
            ) from None
        raise
    except CommandError as error:
        raise CannotAsk(error.problem, error.next_step) from None


async def status(context: DoctorContext, *, anew: bool = False) -> Status:
    """Read the status document. Raises CannotAsk."""
    return await asked(context, "status", Status, anew=anew)


async def service_url(context: DoctorContext) -> str:
    """Return where the running process lets clients in. Raises CannotAsk."""
    url = (await status(context)).url
    if not url:
        raise CannotAsk("the running process doesn't listen yet")
    return url


async def config_changes(context: DoctorContext) -> ConfigChanges:
    """Read what a reload and a restart would change, and which variables are others than here. Raises CannotAsk."""
    from swim_server.daemon.handover.environment import digests

    return await asked(context, "config_changes", ConfigChanges, environment=digests(context.invocation.environ))


async def promises(context: DoctorContext, *, anew: bool = False) -> Promises:
    """Read limits, retention and paces. Raises CannotAsk."""
    return await asked(context, "promises", Promises, anew=anew)
