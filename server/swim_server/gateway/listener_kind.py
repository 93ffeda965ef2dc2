"""The ways in: what is allowed and negotiated on each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from websockets.extensions.base import ServerExtensionFactory


class ListenerKind(msgspec.Struct, frozen=True):
    """One way in: the public one, or the control socket, where the file system is the access control."""

    is_local: bool
    max_message_bytes: int
    hard_limit_bytes: int
    """A longer message is not even read to its end."""
    extensions: Sequence[ServerExtensionFactory] | None = None
    """What is negotiated with clients: compression, where it saves anything."""
