"""A probe event, published and received: stored, delivered, and received through a real WebSocket by doctor alone."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.diagnostics import ProbeStored

from swimctl.client.session import RpcFailed
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted, service_url
from swimctl.doctor.probes.temporary_keys import temporary_key
from swimctl.doctor.probes.wire import Ended, NotUpgraded, ProbeClient, Target, dial

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

ARRIVAL_SECONDS = 2.0
DOOR_SECONDS = 3.0


class Lost(Exception):
    """The event did not arrive: what happened instead."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Received(msgspec.Struct, frozen=True):
    """A probe event that arrived."""

    id: str
    seconds: float
    """From just before publishing to its arrival."""


async def store(context: DoctorContext, connection: str | None = None, token: str | None = None) -> ProbeStored:
    """Publish a probe event. Raises RpcFailed if it can't be stored, CannotAsk."""
    return await acted(context, "probe_event", ProbeStored, token=token or secrets.token_hex(8), connection=connection)


async def stored(context: DoctorContext) -> ProbeStored:
    """Store the run's first probe event, which no client receives."""
    return await context.fact("stream.stored", lambda: store(context), "a probe event, published", shape=ProbeStored)


async def received(context: DoctorContext) -> Received:
    """Store the run's second probe event and receive it. Raises Lost, RpcFailed, CannotAsk."""
    where = "a probe event, received as a client receives it"
    return await context.fact("stream.received", lambda: _receive(context), where, shape=Received)


async def _receive(context: DoctorContext) -> Received:
    await stored(context)
    try:
        target = Target.parse(await service_url(context))
        async with dial(target, await temporary_key(context), open_seconds=context.within(DOOR_SECONDS)) as wire:
            return await _through(context, wire)
    except (NotUpgraded, Ended, ValueError) as error:
        raise Lost(f"no client is admitted to receive it: {error}") from None


async def _through(context: DoctorContext, wire: ProbeClient) -> Received:
    greeting = await wire.greet(context.within(DOOR_SECONDS))
    if greeting is None or not greeting.is_in or greeting.client_id is None:
        raise Lost(f"no client is admitted to receive it: {'no greeting' if greeting is None else greeting.text}")
    answer = await wire.ask("subscribed", context.within(DOOR_SECONDS), action="subscribe", channels=["system.notice"])
    if answer is None or answer.get("type") != "subscribed":
        told = "no answer" if answer is None else str(answer.get("message"))[:100]
        raise Lost(f"a subscription to system.notice is not accepted: {told}")
    token = secrets.token_hex(8)
    started = time.perf_counter()
    try:
        put_in = await store(context, greeting.client_id, token)
    except RpcFailed as failed:
        raise CannotAsk(failed.problem) from None
    limit_seconds = context.within(ARRIVAL_SECONDS)
    while (left := limit_seconds - (time.perf_counter() - started)) > 0:
        message = await wire.await_type(("system.notice",), left)
        if message is None:
            break
        data = message.get("data")
        if isinstance(data, dict) and data.get("probe") == token:
            if message.get("id") != put_in.id:
                raise Lost(f"it came out as {str(message.get('id'))[:40]}, it was stored as {put_in.id}")
            return Received(put_in.id, time.perf_counter() - started)
    raise Lost(f"stored as {put_in.id}, and not received within {limit_seconds:g} s")
