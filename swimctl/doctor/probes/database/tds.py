"""The first exchange with a SQL Server, without a driver: does it speak TDS, does it encrypt, with which certificate?

Drivers can't tell these apart: a refused port, a silent host and a wrong certificate all end in the same timeout.
Messages: [MS-TDS] 2.2.6.5 PRELOGIN; the TLS handshake travels inside them (2.2.6.5, 3.2.5.2).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Any

import msgspec

PRELOGIN, RESPONSE = 0x12, 0x04
END_OF_MESSAGE = 0x01
VERSION, ENCRYPTION, TERMINATOR = 0x00, 0x01, 0xFF
ENCRYPT_ON, ENCRYPT_NOT_SUPPORTED = 1, 2
MAX_PACKET = 32_768
PACKET_BYTES = 4_000


class NoTds(Exception):
    """What answers is not a SQL Server, or it disconnected: why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class TdsHandshake(msgspec.Struct, frozen=True):
    """The outcome of a handshake."""

    version: str
    """The server's version, as it reports it."""
    is_encrypted: bool
    tls_version: str | None = None
    certificate: dict[str, Any] | None = None
    """The verified certificate as ``ssl`` shows it; None if it was not to be verified."""
    distrust: str | None = None
    """Why the certificate is not trusted."""


async def shake_hands(host: str, port: int, *, verify: bool, seconds: float) -> TdsHandshake:
    """Connect up to TLS, but don't log in. Raises NoTds, OSError, TimeoutError."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            return await _prelogin(reader, writer, host, verify=verify)
        except (asyncio.IncompleteReadError, struct.error, IndexError):
            raise NoTds("it broke off before the encryption was agreed on") from None
        finally:
            writer.close()


async def _prelogin(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, *, verify: bool
) -> TdsHandshake:
    table = struct.pack(">BHHBHHB", VERSION, 11, 6, ENCRYPTION, 17, 1, TERMINATOR)
    _send(writer, table + bytes([18, 0, 0, 0, 0, 0]) + bytes([ENCRYPT_ON]))
    options = _options(await _receive(reader))
    version = ".".join(map(str, struct.unpack(">BBH", options.get(VERSION, b"\0" * 6)[:4])))
    if options.get(ENCRYPTION, b"\2")[:1] == bytes([ENCRYPT_NOT_SUPPORTED]):
        return TdsHandshake(version, is_encrypted=False)
    try:
        found = await _tls(reader, writer, _context(verify=verify), host)
    except ssl.SSLCertVerificationError as error:
        return TdsHandshake(version, is_encrypted=True, distrust=error.verify_message or str(error))
    except ssl.SSLError as error:
        raise NoTds(f"no encryption can be agreed on: {error.reason or error}") from None
    return TdsHandshake(version, True, found.version(), found.getpeercert() if verify else None)


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TDS 7 wraps the handshake; TLS 1.3 sends more after it
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str
) -> ssl.SSLObject:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    channel = context.wrap_bio(incoming, outgoing, server_hostname=host)
    while True:
        try:
            channel.do_handshake()
        except ssl.SSLWantReadError:
            _send(writer, outgoing.read())
            incoming.write(await _receive(reader))
        else:
            _send(writer, outgoing.read())
            return channel


def _send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    for start in range(0, len(payload), PACKET_BYTES):
        part = payload[start : start + PACKET_BYTES]
        is_last = start + PACKET_BYTES >= len(payload)
        writer.write(struct.pack(">BBHHBB", PRELOGIN, END_OF_MESSAGE if is_last else 0, len(part) + 8, 0, 0, 0) + part)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    payload = b""
    while True:
        kind, status, length, _, _, _ = struct.unpack(">BBHHBB", await reader.readexactly(8))
        if kind not in (PRELOGIN, RESPONSE) or not 8 <= length <= MAX_PACKET:
            raise NoTds("what answers there is not SQL Server")
        payload += await reader.readexactly(length - 8)
        if status & END_OF_MESSAGE:
            return payload
        if len(payload) > 4 * MAX_PACKET:
            raise NoTds("what answers there does not finish its answer")


def _options(payload: bytes) -> dict[int, bytes]:
    """Return the option table of a PRELOGIN message: option, offset, length, up to the terminator."""
    found: dict[int, bytes] = {}
    for start in range(0, len(payload) - 4, 5):
        if payload[start] == TERMINATOR:
            break
        option, offset, length = struct.unpack(">BHH", payload[start : start + 5])
        found[option] = payload[offset : offset + length]
    return found
