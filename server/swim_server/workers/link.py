"""One end of the stream of messages between primary and worker: told in order, or asked and answered."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

from swim_server.workers.failures import Failure, describe_failure

MAX_FRAME_BYTES = 256 * 1024 * 1024
_LENGTH_BYTES = 4
_TELL, _ASK, _ANSWER, _FAILURE = range(4)

Q = TypeVar("Q")
A = TypeVar("A")


class LinkLost(Exception):
    """The other process is gone."""


class Note(Generic[Q]):
    """A kind of message that is not answered."""

    def __init__(self, name: str, body: type[Q]) -> None:
        self.name = name
        self.decoder: msgspec.msgpack.Decoder[Q] = msgspec.msgpack.Decoder(body)


class Question(Generic[Q, A]):
    """A kind of message that is answered."""

    def __init__(self, name: str, body: type[Q], answer: type[A]) -> None:
        self.name = name
        self.decoder: msgspec.msgpack.Decoder[Q] = msgspec.msgpack.Decoder(body)
        self.answers: msgspec.msgpack.Decoder[A] = msgspec.msgpack.Decoder(answer)


class _Envelope(msgspec.Struct, array_like=True):
    kind: int
    number: int
    """Of a question, and of its answer."""
    name: str
    body: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_read_envelope: Callable[[bytes], _Envelope] = msgspec.msgpack.Decoder(_Envelope).decode
_read_failure: Callable[[msgspec.Raw], Failure] = msgspec.msgpack.Decoder(Failure).decode


def framed(note: Note[Q], body: Q) -> bytes:
    """Encode a message that several workers are sent."""
    return _framed(_TELL, 0, note.name, body)


def _framed(kind: int, number: int, name: str, body: object) -> bytes:
    data = _encode(_Envelope(kind, number, name, msgspec.Raw(_encode(body))))
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


class Link(asyncio.Protocol):
    """Messages are handled in the order in which they came. Lives on the loop's thread."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self.on_lost: Callable[[], None] | None = None
        """Called once the other process is gone."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_failure = on_failure
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[msgspec.msgpack.Decoder[Any], asyncio.Future[Any]]] = {}
        self._notes: dict[str, tuple[msgspec.msgpack.Decoder[Any], Callable[[Any], object]]] = {}
        self._questions: dict[str, tuple[msgspec.msgpack.Decoder[Any], Callable[[Any], object]]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    def on(self, note: Note[Q], handle: Callable[[Q], object]) -> None:
        """Handle messages of this kind."""
        self._notes[note.name] = note.decoder, handle

    def answer(self, question: Question[Q, A], handle: Callable[[Q], A | Awaitable[A]]) -> None:
        """Answer questions of this kind. What ``handle`` does before its first await keeps the order of messages."""
        self._questions[question.name] = question.decoder, handle

    # Sending.

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the other process has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def tell(self, note: Note[Q], body: Q) -> None:
        """Send a message; ignored if the other process is gone."""
        self.write(_framed(_TELL, 0, note.name, body))

    def ask(self, question: Question[Q, A], body: Q) -> asyncio.Future[A]:
        """Send a question. The answer raises what the other process raised, or LinkLost."""
        waiter: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            waiter.set_exception(LinkLost())
            return waiter
        number = next(self._numbers)
        self._asked[number] = question.answers, waiter
        self.write(_framed(_ASK, number, question.name, body))
        return waiter

    def write(self, data: bytes) -> None:
        """Send framed messages."""
        if self._transport is not None and not self.lost.done():
            self._transport.write(data)

    def close(self) -> None:
        """Close this end once everything written is sent. Idempotent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close this end at once. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        buffer, begin = self._buffer, 0
        while len(buffer) - begin >= _LENGTH_BYTES:
            size = int.from_bytes(buffer[begin : begin + _LENGTH_BYTES], "big")
            if size > MAX_FRAME_BYTES:
                self._on_failure(AssertionError(f"a message of {size} bytes: both processes run the same code"))
                self.abort()
                return
            end = begin + _LENGTH_BYTES + size
            if end > len(buffer):
                break
            self._receive(bytes(buffer[begin + _LENGTH_BYTES : end]))
            begin = end
        if begin:
            del buffer[:begin]

    def connection_lost(self, error: Exception | None) -> None:
        if self.lost.done():
            return
        self.lost.set_result(None)
        for _, waiter in self._asked.values():
            if not waiter.done():
                waiter.set_exception(LinkLost())
                waiter.exception()  # whoever asked may have gone
        self._asked.clear()
        for task in list(self._answering):
            task.cancel()
        if self.on_lost is not None:
            self.on_lost()

    # Handling.

    def _receive(self, data: bytes) -> None:
        try:
            envelope = _read_envelope(data)
            if envelope.kind == _TELL:
                decoder, handle = self._notes[envelope.name]
                handle(decoder.decode(envelope.body))
            elif envelope.kind == _ASK:
                self._answer(envelope)
            else:
                self._answered(envelope)
        except Exception as error:  # noqa: BLE001 - one message that can't be handled must not end those behind it
            self._on_failure(error)

    def _answered(self, envelope: _Envelope) -> None:
        answers, waiter = self._asked.pop(envelope.number)
        if waiter.done():
            return
        if envelope.kind == _FAILURE:
            waiter.set_exception(_read_failure(envelope.body).to_exception())
        else:
            waiter.set_result(answers.decode(envelope.body))

    def _answer(self, envelope: _Envelope) -> None:
        try:
            decoder, handle = self._questions[envelope.name]
            found = handle(decoder.decode(envelope.body))
        except Exception as error:  # noqa: BLE001 - whatever it was, whoever asked must hear of it
            self._failed(envelope, error)
            return
        if inspect.isawaitable(found):
            task = asyncio.ensure_future(self._answer_later(envelope, found))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            self.write(_framed(_ANSWER, envelope.number, "", found))

    async def _answer_later(self, envelope: _Envelope, found: Awaitable[object]) -> None:
        try:
            answer = await found
        except Exception as error:  # noqa: BLE001 - whatever it was, whoever asked must hear of it
            self._failed(envelope, error)
        else:
            self.write(_framed(_ANSWER, envelope.number, "", answer))

    def _failed(self, envelope: _Envelope, error: Exception) -> None:
        failure = describe_failure(error)
        if failure.is_unexpected:
            self._on_failure(error)
        self.write(_framed(_FAILURE, envelope.number, "", failure))
