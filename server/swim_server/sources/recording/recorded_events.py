"""Reads recordings of events up to where they are damaged, and reports where that is. Blocks; memory is bounded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from swim_server.sources.recording.lines import (
    MAX_LINE_BYTES,
    End,
    Gap,
    Header,
    InvalidLine,
    RecordedEvent,
    identity,
    read_line,
)

CHUNK_BYTES = 262_144
PIECE_BYTES = 1_048_576
"""Of a longer block the beginning is returned before its checksum has been verified. Ours are shorter."""
SNAPSHOT_SUFFIXES = (".json", ".json.gz")

_GZIP_MAGIC = b"\x1f\x8b"
_EVENT_LINE = re.compile(rb'\s*\{\s*"(swim_recording|type|timestamp|id|event_id)"\s*:')


class Damage(Exception):
    """The recording can't be read further. What came before was intact and has been returned."""

    def __init__(self, position: int, events: int, last_id: str | None, reason: str) -> None:
        self.position = position
        """The byte of the file where the damage begins."""
        self.events = events
        """Number of events before it."""
        self.last_id = last_id
        self.reason = reason
        super().__init__(position, events, reason)

    def __str__(self) -> str:
        last = f", the last of them {self.last_id}" if self.last_id else ""
        return f"damaged at byte {self.position:,}, after {self.events:,} events{last}: {self.reason}"


class _Broken(Exception):
    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        self.reason = reason
        super().__init__(reason)


class _Piece(NamedTuple):
    position: int
    """Position of its first byte; of its block's if it was compressed."""
    content: bytes
    is_packed: bool = True


def kind_of_recording(path: Path) -> Literal["events", "snapshots"] | None:
    """Return what is recorded there: by how it begins, else by its name; None for neither. Raises OSError."""
    if path.is_dir():
        return "snapshots"
    with path.open("rb") as stream:
        try:
            head = next(_pieces(stream), _Piece(0, b"")).content
        except _Broken:
            head = b""
    if _EVENT_LINE.match(head) is not None:
        return "events"
    return "snapshots" if path.name.endswith(SNAPSHOT_SUFFIXES) else None


class RecordedEvents:
    """One recording, read once from its beginning: compressed or plain JSON lines; header and end mark are optional."""

    def __init__(self, stream: BinaryIO) -> None:
        self.header: Header | None = None
        self.end: End | None = None
        self.identity: str | None = None
        """Known once the first line has been read."""
        self.events = 0
        """Number of events returned so far."""
        self.gaps = 0
        self.last_id: str | None = None
        self.damage: Damage | None = None
        """Why reading ended; None if it reached the end."""
        self._digest = sha256()
        self._counted = 0
        """Number of events since the last header."""
        self._reading = self._read(stream)

    def take(self, count: int) -> list[RecordedEvent]:
        """Return the next events; fewer than requested: the recording is at its end or damaged. Raises OSError."""
        return list(islice(self._reading, count))

    def __iter__(self) -> Iterator[RecordedEvent]:
        """Yield the remaining events. Raises Damage after the last intact one, and OSError."""
        yield from self._reading
        if self.damage is not None:
            raise self.damage

    def _read(self, stream: BinaryIO) -> Iterator[RecordedEvent]:
        position = 0
        try:
            for position, text in _lines(stream):
                event = self._take_line(position, text)
                if event is not None:
                    yield event
            if self.header is not None and self.end is None:
                raise _Broken(stream_length(stream), "it ends without its end mark: the recording was cut off")
            if self.identity is None:
                raise _Broken(0, "it is empty")
        except _Broken as broken:
            self.damage = Damage(broken.position, self.events, self.last_id, broken.reason)

    def _take_line(self, position: int, text: bytes) -> RecordedEvent | None:
        try:
            line = read_line(text)
        except InvalidLine as invalid:
            raise _Broken(position, invalid.reason) from None
        if self.identity is None:
            self.identity = identity(line)
        match line:
            case RecordedEvent():
                self.events += 1
                self._counted += 1
                self._digest.update(text + b"\n")
                self.last_id = line.id or self.last_id
                return line
            case Header():
                self.header, self.end, self._counted, self._digest = line, None, 0, sha256()
            case End():
                self._check(position, line)
                self.end = line
            case Gap():
                self.gaps += 1
        return None

    def _check(self, position: int, end: End) -> None:
        if end.events != self._counted:
            raise _Broken(position, f"its end mark counts {end.events:,} events, it holds {self._counted:,}")
        if end.sha256 != self._digest.hexdigest():
            raise _Broken(position, "its events are not those that were recorded: the digest differs")


def stream_length(stream: BinaryIO) -> int:
    """Return the position of a stream; 0 for one without, such as a pipe."""
    return stream.tell() if stream.seekable() else 0


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line without its end, with its position. Raises _Broken after the last intact one."""
    rest, rest_position = b"", 0
    for piece in _pieces(stream):
        *texts, following = (rest + piece.content).split(b"\n")
        position = rest_position if rest else piece.position
        for text in texts:
            if text.strip():
                yield position, text.strip(b"\r")
            position = piece.position if piece.is_packed else position + len(text) + 1
        rest, rest_position = following, position
        if len(rest) > MAX_LINE_BYTES:
            raise _Broken(rest_position, f"a line is longer than {MAX_LINE_BYTES:,} bytes")
    if rest.strip():  # a last line without a line feed: complete, or cut off
        yield rest_position, rest.strip(b"\r")


def _pieces(stream: BinaryIO) -> Iterator[_Piece]:
    first = stream.read(CHUNK_BYTES)
    if first.startswith(_GZIP_MAGIC):
        yield from _unpacked(stream, first)
        return
    position = 0
    while first:
        yield _Piece(position, first, is_packed=False)
        position += len(first)
        first = stream.read(CHUNK_BYTES)


def _unpacked(stream: BinaryIO, packed: bytes) -> Iterator[_Piece]:
    """Yield the content of each block once its checksum is verified. Raises _Broken."""
    position = 0
    while packed or (packed := stream.read(CHUNK_BYTES)):
        began, content = position, bytearray()
        block = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not block.eof:
            if not packed and not (packed := stream.read(CHUNK_BYTES)):
                content += block.flush()
                yield _Piece(began, bytes(content[: content.rfind(b"\n") + 1]))
                raise _Broken(position, "it ends in the middle of a block: the recording was cut off")
            try:
                content += block.decompress(packed, PIECE_BYTES)
            except zlib.error as error:
                raise _Broken(began, f"this block can't be unpacked ({error})") from None
            position += len(packed) - len(block.unconsumed_tail) - len(block.unused_data)
            packed = block.unconsumed_tail or block.unused_data
            if len(content) >= PIECE_BYTES and not block.eof:
                yield _Piece(began, bytes(content))
                content.clear()
        yield _Piece(began, bytes(content))
