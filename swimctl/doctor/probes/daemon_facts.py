"""The running process's answers: requested over the control socket, decoded into typed documents."""

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
    """What a check needs can't be found out at the moment: why, and what to type."""

    def __init__(self, problem: str, fix: str | None = None) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem)


def expecting(expected: str) -> Callable[[Ask], Ask]:
    """Make a check answer ``unknown`` when what it needs can't be found out."""

    def wrap(ask: Ask) -> Ask:
        @functools.wraps(ask)
        async def careful(context: DoctorContext) -> Answer:
            try:
                return await ask(context)
            except CannotAsk as trouble:
                return unknown(expected, trouble.problem, command_in(trouble.fix))

        return careful

    return wrap


async def asked(context: DoctorContext, method: str, shape: type[T], *, refresh: bool = False, **params: Any) -> T:
    """Call a method, once per run unless ``refresh``, and decode its answer as ``shape``. Raises CannotAsk,
    RpcFailed.
    """
    return await _read(context.ask_again if refresh else context.ask, method, shape, params)


async def acted(context: DoctorContext, method: str, shape: type[T], **params: Any) -> T:
    """Call a method that has an effect, and decode its answer, which is not a fact. Raises what ``asked`` raises."""
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


async def status(context: DoctorContext, *, refresh: bool = False) -> Status:
    """Return the status document. Raises CannotAsk."""
    return await asked(context, "status", Status, refresh=refresh)


async def service_url(context: DoctorContext) -> str:
    """Return the address at which the running process accepts clients. Raises CannotAsk."""
    url = (await status(context)).url
    if not url:
        raise CannotAsk("the running process doesn't listen yet")
    return url


async def config_changes(context: DoctorContext) -> ConfigChanges:
    """Return what a reload or restart would change, and which environment variables differ. Raises CannotAsk."""
    from swim_server.daemon.handover.environment import digests

    return await asked(context, "config_changes", ConfigChanges, environment=digests(context.invocation.environ))


async def promises(context: DoctorContext, *, refresh: bool = False) -> Promises:
    """Return the limits, retention and intervals in force. Raises CannotAsk."""
    return await asked(context, "promises", Promises, refresh=refresh)
