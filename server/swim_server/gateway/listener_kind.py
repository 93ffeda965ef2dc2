"""The ways in: what is allowed and negotiated on each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from websockets.extensions.base import ServerExtensionFactory

from swim_server.protocol.positions import MAX_MESSAGE_BYTES


class ListenerKind(msgspec.Struct, frozen=True):
    """One way in: the public one, or the control socket, where the file system is the access control."""

    is_local: bool
    max_message_bytes: int
    hard_limit_bytes: int
    """A longer message is not even read to its end."""
    extensions: Sequence[ServerExtensionFactory] | None = None
    """What is negotiated with clients: compression, where it saves anything."""

    @property
    def kept_bytes(self) -> int:
        """Return how much of a message is kept: as much as may be answered, an event that is published included."""
        return max(self.max_message_bytes, MAX_MESSAGE_BYTES)
