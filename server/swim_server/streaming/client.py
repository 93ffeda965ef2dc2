"""One client as the gateway hands it over: what is known of it, and the way out to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from swim_server.streaming.framed_event import PLAIN

if TYPE_CHECKING:
    from swim_server.keys.records import KeyRecord
    from swim_server.protocol.codes import CloseCode


class Client(NamedTuple):
    """What is known of a client when it is admitted."""

    tier: str
    key: KeyRecord | None
    """None on the control socket."""
    remote: str
    """The client's address, as it is logged."""
    connected_at_ms: int
    user_agent: str | None = None
    window_bits: int = PLAIN
    """The window for which its events may be compressed, or ``PLAIN``."""


class ClientTransport(Protocol):
    """The way out to one client: what the endpoint gives a connection to write to."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport; never blocks. May call the connection's ``pause`` before it returns."""

    def buffered_bytes(self) -> int:
        """Return how many bytes the transport has not sent yet."""

    def descriptor(self) -> int | None:
        """Return the socket that bytes may be written to directly: nothing waits before them or changes them (TLS)."""

    def peer(self) -> tuple[str, int] | None:
        """Return host and port of the connection's other end, which may be a proxy; None on the control socket."""

    def hold_reading(self) -> None:
        """Stop reading what the client sends, until ``release_reading``; idempotent."""

    def release_reading(self) -> None:
        """Read again; idempotent."""

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Begin the closing handshake and take the connection out of the hub; idempotent."""
