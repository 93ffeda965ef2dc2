"""Records of an SQLite file: the numbers and columns in the cells of its pages. Pure."""

from __future__ import annotations

_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
Value = int | bytes | None


class BadPage(Exception):
    """A page, or a cell of one, that is malformed."""


def read_columns(payload: bytes) -> list[Value]:
    """Return the columns of a record, texts as bytes. Raises BadPage."""
    header, at = read_varint(payload, 0)
    if header > len(payload):
        raise BadPage("a header beyond its row")
    begin, columns = header, list[Value]()
    while at < header:
        kind, size = read_varint(payload, at)
        at += size
        if kind in _INTEGER_BYTES:
            width = _INTEGER_BYTES[kind]
            columns.append(int.from_bytes(payload[begin : begin + width], "big", signed=True))
        elif kind >= 12:
            width = (kind - 12) // 2
            columns.append(payload[begin : begin + width])
        elif kind in {0, 8, 9}:
            width = 0
            columns.append(None if kind == 0 else kind - 8)
        else:
            raise BadPage("a value of a kind that history does not have")
        begin += width
        if begin > len(payload):
            raise BadPage("a value beyond its row")
    if at != header or begin != len(payload):
        raise BadPage("values that are not the whole row")
    return columns


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and how many bytes it takes. Raises BadPage."""
    value = 0
    for size in range(1, 10):
        if at + size > len(data):
            raise BadPage("a number beyond its page")
        byte = data[at + size - 1]
        if size == 9:
            value = value << 8 | byte
            return (value - (1 << 64) if value >= 1 << 63 else value), 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, size
    raise AssertionError("the ninth byte is the last")
