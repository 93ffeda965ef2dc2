"""The two kinds of listeners, and what is allowed and negotiated on each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from websockets.extensions.base import ServerExtensionFactory

from swim_server.protocol.positions import MAX_MESSAGE_BYTES


class ListenerKind(msgspec.Struct, frozen=True):
    """The public listener, or the control socket, whose access control is the file system."""

    is_local: bool
    max_message_bytes: int
    hard_limit_bytes: int
    """A longer message is not read to its end."""
    extensions: Sequence[ServerExtensionFactory] | None = None
    """What is negotiated with clients: compression, where it saves bytes."""

    @property
    def kept_bytes(self) -> int:
        """How much of a message is kept: the longest that may be answered, including published events."""
        return max(self.max_message_bytes, MAX_MESSAGE_BYTES)
