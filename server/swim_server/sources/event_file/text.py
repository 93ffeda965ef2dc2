"""Finds JSON objects in text that several writers have garbled. Pure: bytes in, objects and leftovers out."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_OBJECT_CHARACTERS = 16 * 1024 * 1024
"""A longer object is given up."""
MAX_KEPT_CHARACTERS = 64 * 1024
"""Maximum characters kept of one unreadable part; the rest is only counted."""

_SEPARATORS = re.compile(r"[\s,\[\]\ufeff]*+")
"""What may separate objects: arrays, lines and mixtures of both look alike from here."""
_IN_KEY = r'[^"\\\x00-\x1f]*+'
_START = re.compile(
    rf'\{{\s*+(?:\}}|\Z|"{_IN_KEY}(?:\\.{_IN_KEY})*+(?:"\s*+(?::|\Z)|\\?\Z))',
)
"""Where an object may begin: an empty one, or one with a key, as far as received. Spares json most of its errors."""
_NEAR_THE_END = 16
"""An error this close to the end may be due to missing input: a cut escape, literal or number."""
_STRETCH = 16 * 1024
_FREE_WASTE = 1024 * 1024
_WASTE_FACTOR = 64
"""How many characters may be scanned in vain per character of text before whole lines are given up."""


class Unreadable(msgspec.Struct, frozen=True):
    """A part that is not a JSON object, or an object that is not an event."""

    text: str
    """Its beginning, at most MAX_KEPT_CHARACTERS; invalid UTF-8 as lone surrogates."""
    reason: str
    position: int
    """Number of characters before it."""
    length: int
    """Its length in characters, including those not kept."""
    unknown_type: str | None = None
    """The event type, if the entry is refused only because that is unknown."""


class Found:
    """A well-formed object, and its position."""

    __slots__ = ("_bounds", "_position", "_text", "value")

    def __init__(self, value: dict[str, Any], text: str, bounds: tuple[int, int], position: int) -> None:
        self.value = value
        self._text = text
        self._bounds = bounds
        self._position = position

    def as_unreadable(self, reason: str) -> Unreadable:
        """Set it aside as it was written."""
        start, end = self._bounds
        text = self._text[start : min(end, start + MAX_KEPT_CHARACTERS)]
        return Unreadable(text, reason, self._position, end - start)


class ObjectScanner:
    """Reads arrays, JSON lines, and what concatenation, truncation and garbage make of them.

    Every well-formed object outside unreadable parts is found, in order, and so is every one that looks like an event
    inside such a part. Memory is bounded by the largest object, time by the text's length.
    """

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        """What was received and is not processed; ``_base`` characters came before it."""
        self._base = 0
        self._wasted = 0
        self._junk: _Junk | None = None
        """The unreadable part that the scanner is in."""

    @property
    def is_within(self) -> bool:
        """Tell whether something received is not processed: the beginning of an object, or junk."""
        return bool(self._text.strip(" \t\r\n,[]\ufeff")) or self._junk is not None

    def holds_back(self) -> bool:
        """Tell whether objects wait after one that is cut off: they would be returned at the end of the text."""
        if not self._text:
            return False
        other = ObjectScanner()
        other._text, other._base, other._wasted = self._text, self._base, self._wasted
        return any(isinstance(each, Found) for each in other.finish())

    @property
    def pending_bytes(self) -> int:
        """Return how many received bytes are not processed."""
        return len(self._text.encode("utf-8", "surrogateescape")) + len(self._utf8.getstate()[0])

    def feed(self, data: bytes) -> Iterator[Found | Unreadable]:
        """Process the next bytes; yield what can be decided by now."""
        self._text += self._utf8.decode(data)
        yield from self._scan(is_end=False)

    def finish(self) -> Iterator[Found | Unreadable]:
        """Yield what is left: an object that was cut off is unreadable now."""
        self._text += self._utf8.decode(b"", True)
        yield from self._scan(is_end=True)
        yield from self._end_junk()

    def _scan(self, *, is_end: bool) -> Iterator[Found | Unreadable]:
        text, position = self._text, 0
        while True:
            if position > max(_STRETCH, len(text) // 64):  # json's errors cost time by their distance from 0
                text = self._text = text[position:]
                self._base += position
                position = 0
            start = self._next_start(text, position)
            if start is None:
                position = len(text)
                break
            try:
                value, end = self._decoder.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                if not is_end and _may_go_on(error, text) and len(text) - start <= MAX_OBJECT_CHARACTERS:
                    position = start
                    break
                position = self._skip(text, start, error)
                continue
            if self._junk is not None and not _looks_like_event(value):
                self._junk.append(text[start:end])
            else:
                yield from self._end_junk()
                yield Found(value, text, (start, end), self._base + start)
            position = end
        self._text = text[position:]
        self._base += position

    def _next_start(self, text: str, position: int) -> int | None:
        """Return where the next object may begin; what precedes it is separators or junk. None: nowhere."""
        if self._junk is None:
            match = _SEPARATORS.match(text, position)
            position = match.end() if match else position
        found = _START.search(text, position)
        start = found.start() if found else len(text)
        if start > position:
            self._add_junk(text[position:start], position, "it is no JSON object")
        return start if found else None

    def _skip(self, text: str, start: int, error: ValueError | RecursionError) -> int:
        """Skip a brace that begins no object, or the whole line if too much was scanned in vain."""
        reason = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        if isinstance(error, json.JSONDecodeError):
            reason = "it is cut off" if _may_go_on(error, text) else error.msg[0].lower() + error.msg[1:]
            cost = error.pos - start
        else:
            cost = min(len(text) - start, MAX_KEPT_CHARACTERS)
        self._wasted += cost
        end = start + 1
        if self._wasted > _FREE_WASTE + _WASTE_FACTOR * (self._base + start):
            end = text.find("\n", start) + 1 or len(text)
        self._add_junk(text[start:end], start, reason)
        return end

    def _add_junk(self, text: str, position: int, reason: str) -> None:
        if self._junk is None:
            self._junk = _Junk(self._base + position, reason)
        self._junk.append(text)

    def _end_junk(self) -> Iterator[Unreadable]:
        junk, self._junk = self._junk, None
        if junk is not None:
            yield junk.close()


class _Junk:
    """An unreadable part as it grows."""

    def __init__(self, position: int, reason: str) -> None:
        self._position = position
        self._reason = reason
        self._parts: list[str] = []
        self._kept = 0
        self._length = 0

    def append(self, text: str) -> None:
        self._length += len(text)
        if self._kept < MAX_KEPT_CHARACTERS:
            part = text[: MAX_KEPT_CHARACTERS - self._kept]
            self._parts.append(part)
            self._kept += len(part)

    def close(self) -> Unreadable:
        return Unreadable("".join(self._parts).rstrip(" \t\r\n,[]"), self._reason, self._position, self._length)


def _looks_like_event(value: dict[str, Any]) -> bool:
    return isinstance(value.get("type"), str) and isinstance(value.get("data"), dict)


def _may_go_on(error: ValueError | RecursionError, text: str) -> bool:
    """Tell whether more text could complete the object."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or len(text) - error.pos <= _NEAR_THE_END
