"""Plain HTTP at the public address: what a client without WebSockets requests, and which proxy answers."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from swimctl.doctor.probes.public_endpoint import STEP_SECONDS, target_of
from swimctl.doctor.probes.temporary_keys import temporary_key
from swimctl.doctor.probes.wire import USER_AGENT, reason_of

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.wire import Target

MAX_BYTES = 65_536
NOBODY = "flights?callsign_prefix=DOCTOR"
"""A request that a client might make, with a short answer."""
OURS = "/api/swim/v1"
MAX_HEAD_BYTES = 16_384
PROXIES = ("nginx", "apache", "caddy", "lighttpd", "varnish", "haproxy")
NAMING = ("server:", "via:", "x-varnish:")
"""The headers in which proxies name themselves; HAProxy uses none."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response."""

    path: str
    status: int | None = None
    """None: no HTTP response."""
    trouble: str | None = None
    is_state: bool = False
    """It is a state document of the protocol."""
    code: str | None = None
    """The service's error code."""


async def ask_for_flights(context: DoctorContext) -> HttpAnswer:
    """Request flights at the public address, with a temporary key in a header. Raises NoFront, CannotAsk."""
    target = await target_of(context)
    path = f"{base_of(target.url)}/{NOBODY}"
    return await context.fact(
        "front.flights", lambda: _ask(context, target, path), f"GET {path}, over the public address", shape=HttpAnswer
    )


def base_of(url: str) -> str:
    """Return the plain HTTP address that belongs to a WebSocket address. Pure."""
    folder, _, last = urlsplit(url).path.rpartition("/")
    return folder if last == "ws" else OURS


async def _ask(context: DoctorContext, target: Target, path: str) -> HttpAnswer:
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {target.host}\r\nAuthorization: Bearer {await temporary_key(context)}\r\n"
        f"User-Agent: {USER_AGENT}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(context.within(STEP_SECONDS)):
            data = await _exchange(target, head.encode())
    except TimeoutError:
        return HttpAnswer(path=path, trouble="no answer in time")
    except (OSError, ssl.SSLError) as error:
        return HttpAnswer(path=path, trouble=reason_of(error))
    return read(path, data)


async def _exchange(target: Target, request: bytes) -> bytes:
    tls = await asyncio.to_thread(ssl.create_default_context) if target.is_tls else None
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
    try:
        writer.write(request)
        data = bytearray()
        while len(data) < MAX_BYTES and (part := await reader.read(8192)):
            data += part
        return bytes(data)
    finally:
        writer.transport.abort()


async def proxy_name(context: DoctorContext) -> str | None:
    """Return the proxy's name from the headers of one of its pages; None if they don't say. Raises NoFront."""
    target = await target_of(context)
    seconds = context.within(STEP_SECONDS)
    where = f"the headers of GET / at {target.host}:{target.port}"
    return await context.fact("front.proxy", lambda: _named_by(target, seconds), where, shape=str | None)


async def _named_by(target: Target, seconds: float) -> str | None:
    try:
        async with asyncio.timeout(seconds):
            tls = await asyncio.to_thread(ssl.create_default_context) if target.is_tls else None
            reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls, limit=MAX_HEAD_BYTES)
            try:
                headers = f"Host: {target.host}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close"
                writer.write(f"GET / HTTP/1.1\r\n{headers}\r\n\r\n".encode("latin-1"))
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    return proxy_in(head)


def proxy_in(head: str) -> str | None:
    """Find a proxy's name in the head of a response. Pure."""
    told = [line for line in head.lower().split("\r\n") if line.startswith(NAMING)]
    return next((name for name in PROXIES if any(name in line for line in told)), None)


def read(path: str, data: bytes) -> HttpAnswer:
    """Parse a response: its status, and whether it is the requested document. Pure."""
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return HttpAnswer(path=path, trouble="cut off without an answer" if not data else "what came is no HTTP")
    document = _object_in(body)
    code = document.get("code")
    return HttpAnswer(
        path=path, status=int(words[1]), is_state="flights" in document and "as_of" in document,
        code=code if isinstance(code, str) else None,
    )  # fmt: skip


def _object_in(body: bytes) -> dict[str, object]:
    """Decode the JSON object in a body, chunked or not; empty if there is none."""
    try:
        return msgspec.json.decode(body[body.index(b"{") : body.rindex(b"}") + 1], type=dict[str, object])
    except (ValueError, msgspec.DecodeError):
        return {}
