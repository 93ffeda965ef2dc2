"""TDS 7.4 as bytes, pure: packets, tokens, column values, and the parameters of remote procedure calls.

From MS-TDS, as far as Microsoft's driver 18 and FreeTDS 1.3 use it when pyodbc speaks through them.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

BATCH, RPC, RESULT, ATTENTION, TRANSACTION, LOGIN7, PRELOGIN = 1, 3, 4, 6, 14, 16, 18
PACKET_BYTES = 4096
COLLATION = b"\x09\x04\xd0\x00\x34"
_FIRST_DAY = date(1, 1, 1).toordinal()
_DONE_COUNT, _DONE_ERROR, _DONE_MORE, DONE_ATTENTION = 0x10, 0x02, 0x01, 0x20
_SELECT = 0xC1


# Messages in packets


def packets(message: bytes, kind: int = RESULT) -> bytes:
    """Split a message into packets."""
    size = PACKET_BYTES - 8
    parts = [message[start : start + size] for start in range(0, len(message), size)] or [b""]
    return b"".join(
        struct.pack(">BBHHBB", kind, int(number == len(parts)), len(part) + 8, 0, number % 256, 0) + part
        for number, part in enumerate(parts, 1)
    )


def option_offsets(options: Sequence[tuple[int, bytes]]) -> bytes:
    """Build the body of a PRELOGIN message."""
    head, body, start = b"", b"", 5 * len(options) + 1
    for kind, value in options:
        head += struct.pack(">BHH", kind, start + len(body), len(value))
        body += value
    return head + b"\xff" + body


def read_options(body: bytes) -> dict[int, bytes]:
    """Parse the options of a PRELOGIN message."""
    options, place = {}, 0
    while body[place] != 0xFF:
        kind, start, length = struct.unpack(">BHH", body[place : place + 5])
        options[kind] = body[start : start + length]
        place += 5
    return options


@dataclass
class Login:
    """The content of a LOGIN7 message."""

    user: str
    password: str
    database: str
    server: str
    token: str | None = None
    """The access token, where the client logs in with one."""


def read_login(body: bytes) -> Login:
    """Parse a LOGIN7 message; its password is only obfuscated."""

    def field(place: int) -> bytes:
        start, length = struct.unpack("<HH", body[place : place + 4])
        return body[start : start + 2 * length]

    scrambled = (byte ^ 0xA5 for byte in field(44))
    password = bytes(byte >> 4 | byte << 4 & 0xF0 for byte in scrambled).decode("utf-16-le")
    login = Login(field(40).decode("utf-16-le"), password, field(68).decode("utf-16-le"), field(52).decode("utf-16-le"))
    if body[27] & 0x10:
        login.token = _token_of(body)
    return login


def _token_of(body: bytes) -> str | None:
    """Return the security token among a LOGIN7 message's feature extensions."""
    start = struct.unpack("<H", body[56:58])[0]
    place = struct.unpack("<I", body[start : start + 4])[0]
    while place < len(body) and body[place] != 0xFF:
        feature, length = struct.unpack("<BI", body[place : place + 5])
        value = body[place + 5 : place + 5 + length]
        if feature == 2 and value[0] >> 1 == 1:
            size = struct.unpack("<I", value[1:5])[0]
            return value[5 : 5 + size].decode("utf-16-le")
        place += 5 + length
    return None


# Tokens


def short_text(text: str) -> bytes:
    """Build a text with a one-byte length."""
    raw = text.encode("utf-16-le")
    return struct.pack("<B", len(raw) // 2) + raw


def error(number: int, message: str, severity: int) -> bytes:
    """Build an ERROR token and the DONE that ends the answer."""
    raw = message.encode("utf-16-le")
    body = struct.pack("<iBBH", number, 1, severity, len(raw) // 2) + raw + short_text("tds") + short_text("")
    body += struct.pack("<i", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body + done(_DONE_ERROR)


def done(status: int = 0, rows: int = 0, *, token: int = 0xFD, command: int = 0) -> bytes:
    """Build a DONE token."""
    return struct.pack("<BHHQ", token, status, command, rows)


def affected(rows: int) -> bytes:
    """Build the answer to a statement that changes rows."""
    return done(_DONE_COUNT, rows, command=0xC3)


def environment_change(kind: int, new: bytes, old: bytes) -> bytes:
    """Build an ENVCHANGE token."""
    body = struct.pack("<B", kind) + new + old
    return b"\xe3" + struct.pack("<H", len(body)) + body


def welcome(login: Login) -> bytes:
    """Build the answer to a successful login."""
    product = b"\x01" + struct.pack(">I", 0x74000004) + short_text("Microsoft SQL Server") + bytes((16, 0, 4, 0))
    answer = environment_change(1, short_text(login.database or "master"), short_text("master"))
    answer += environment_change(7, b"\x05" + COLLATION, b"\x00")
    answer += b"\xad" + struct.pack("<H", len(product)) + product
    answer += environment_change(4, short_text(str(PACKET_BYTES)), short_text(str(PACKET_BYTES)))
    if login.token is not None:
        answer += b"\xae\x02" + struct.pack("<I", 0) + b"\xff"
    return answer + done()


def transaction_answer(request: int) -> bytes:
    """Build the answer to begin (5), commit (7) and rollback (8)."""
    transaction = b"\x08" + b"\x01" * 8
    changes = {5: (8, transaction, b"\x00"), 7: (9, b"\x00", transaction), 8: (10, b"\x00", transaction)}
    return (environment_change(*changes[request]) if request in changes else b"") + done()


# Columns and rows

Kind = str
"""``bit int big float moment text binary``."""
_TEXT = b"\xe7" + struct.pack("<H", 8000) + COLLATION
TYPE_INFO: dict[Kind, bytes] = {
    "bit": b"\x68\x01",
    "int": b"\x26\x04",
    "big": b"\x26\x08",
    "float": b"\x6d\x08",
    "moment": b"\x2a\x07",
    "text": _TEXT,
    "binary": b"\xa5" + struct.pack("<H", 8000),
}


def table(columns: Sequence[tuple[str, Kind]], rows: Sequence[Sequence[Any]]) -> bytes:
    """Build the answer to a query: its columns, its rows, and the DONE."""
    head = b"".join(struct.pack("<IH", 0, 9) + TYPE_INFO[kind] + short_text(name) for name, kind in columns)
    answer = b"\x81" + struct.pack("<H", len(columns)) + head
    for row in rows:
        answer += b"\xd1" + b"".join(encode(kind, value) for (_, kind), value in zip(columns, row, strict=True))
    return answer + done(_DONE_COUNT, len(rows), command=_SELECT)


def encode(kind: Kind, value: Any) -> bytes:
    """Encode one value of a row."""
    if kind in {"text", "binary"}:
        if value is None:
            return b"\xff\xff"
        raw = str(value).encode("utf-16-le") if kind == "text" else bytes(value)
        return struct.pack("<H", len(raw)) + raw
    if value is None:
        return b"\x00"
    match kind:
        case "bit":
            return struct.pack("<BB", 1, bool(value))
        case "int":
            return struct.pack("<Bi", 4, value)
        case "big":
            return struct.pack("<Bq", 8, value)
        case "float":
            return struct.pack("<Bd", 8, value)
        case _:
            return _encode_moment(datetime.fromisoformat(value) if isinstance(value, str) else value)


def _encode_moment(moment: datetime) -> bytes:
    since_midnight = moment - datetime.combine(moment.date(), time())
    ticks = since_midnight // timedelta(microseconds=1) * 10
    return b"\x08" + ticks.to_bytes(5, "little") + (moment.toordinal() - _FIRST_DAY).to_bytes(3, "little")


def procedure_answer(result: bytes, handle: int | None) -> bytes:
    """Build a statement's answer as its procedure gives it: DONE becomes DONEINPROC, then status and handle."""
    last, status = result[:-13], struct.unpack("<H", result[-12:-10])[0] | _DONE_MORE
    answer = last + b"\xff" + struct.pack("<H", status) + result[-10:] + b"\x79" + struct.pack("<i", 0)
    if handle is not None:
        value = b"\x26\x04\x04" + struct.pack("<i", handle)
        answer += b"\xac" + struct.pack("<H", 0) + short_text("") + b"\x01" + struct.pack("<IH", 0, 0) + value
    return answer + done(token=0xFE, command=0xE0)


# Parameters of remote procedure calls


@dataclass
class Call:
    """One remote procedure call."""

    procedure: int | str
    """A number for the well-known ones, else a name."""
    values: list[Any]
    names: list[str]


class Reader:
    """Reads the fields of a message one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, length: int) -> bytes:
        self.place += length
        return self.data[self.place - length : self.place]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def signed(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little", signed=True)

    def peek(self) -> int | None:
        return self.data[self.place] if self.place < len(self.data) else None


def read_call(body: bytes) -> Call:
    """Parse the first call of an RPC message, without its headers."""
    reader = Reader(body)
    length = reader.number(2)
    procedure: int | str = reader.number(2) if length == 0xFFFF else reader.take(2 * length).decode("utf-16-le")
    reader.number(2)
    call = Call(procedure, [], [])
    while reader.peek() not in {None, 0xFF, 0x80}:
        name = reader.take(2 * reader.number(1)).decode("utf-16-le")
        reader.number(1)
        call.names.append(name.lstrip("@"))
        call.values.append(_value(reader))
    return call


def _value(reader: Reader) -> Any:
    kind = reader.number(1)
    if kind not in _READERS:
        raise AssertionError(f"no driver was seen to send parameters of type 0x{kind:02x}")
    return _READERS[kind](reader)


def _fixed(length: int) -> Callable[[Reader], Any]:
    return lambda reader: reader.signed(length)


def _nullable(read: Callable[[Reader, int], Any]) -> Callable[[Reader], Any]:
    """Build a type whose information is its maximum length, and whose values begin with their own."""

    def read_value(reader: Reader) -> Any:
        reader.number(1)
        length = reader.number(1)
        return read(reader, length) if length else None

    return read_value


def _date(reader: Reader) -> str | None:
    return date.fromordinal(reader.number(3) + _FIRST_DAY).isoformat() if reader.number(1) else None


def _decimal(reader: Reader) -> float | None:
    _, _, scale = reader.number(1), reader.number(1), reader.number(1)
    length = reader.number(1)
    if not length:
        return None
    sign = 1 if reader.number(1) else -1
    return float(sign * reader.number(length - 1) / 10**scale)


def _moment(reader: Reader) -> str | None:
    scale, length = reader.number(1), reader.number(1)
    if not length:
        return None
    raw = reader.take(length)
    ticks = int.from_bytes(raw[:-3], "little")
    day = datetime.fromordinal(int.from_bytes(raw[-3:], "little") + _FIRST_DAY)
    return (day + timedelta(microseconds=ticks * 10**6 // 10**scale)).isoformat(" ")


def _text(reader: Reader) -> str | None:
    longest = reader.number(2)
    reader.take(5)
    raw = _long_bytes(reader) if longest == 0xFFFF else _short_bytes(reader)
    return None if raw is None else raw.decode("utf-16-le")


def _ascii_text(reader: Reader) -> str | None:
    longest = reader.number(2)
    reader.take(5)
    raw = _long_bytes(reader) if longest == 0xFFFF else _short_bytes(reader)
    return None if raw is None else raw.decode("cp1252")


def _binary(reader: Reader) -> bytes | None:
    return _long_bytes(reader) if reader.number(2) == 0xFFFF else _short_bytes(reader)


def _short_bytes(reader: Reader) -> bytes | None:
    length = reader.number(2)
    return None if length == 0xFFFF else reader.take(length)


def _long_bytes(reader: Reader) -> bytes | None:
    if reader.number(8) == 2**64 - 1:
        return None
    raw = b""
    while length := reader.number(4):
        raw += reader.take(length)
    return raw


def _old_text(reader: Reader) -> str | None:
    reader.take(9)
    length = reader.signed(4)
    return None if length < 0 else reader.take(length).decode("utf-16-le")


_READERS: dict[int, Callable[[Reader], Any]] = {
    0x30: _fixed(1),
    0x32: lambda reader: bool(reader.number(1)),
    0x34: _fixed(2),
    0x38: _fixed(4),
    0x7F: _fixed(8),
    0x24: _nullable(lambda reader, length: str(uuid.UUID(bytes_le=reader.take(length)))),
    0x26: _nullable(lambda reader, length: reader.number(1) if length == 1 else reader.signed(length)),
    0x68: _nullable(lambda reader, length: bool(reader.number(length))),
    0x6D: _nullable(lambda reader, length: struct.unpack({4: "<f", 8: "<d"}[length], reader.take(length))[0]),
    0x28: _date,
    0x2A: _moment,
    0x6A: _decimal,
    0x6C: _decimal,
    0xE7: _text,
    0xEF: _text,
    0x63: _old_text,
    0xA7: _ascii_text,
    0xAF: _ascii_text,
    0xA5: _binary,
    0xAD: _binary,
}
