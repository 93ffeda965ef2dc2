"""permessage-deflate (RFC 7692): what clients are offered, so that one compressed frame serves them all."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.extensions.base import Extension, ServerExtensionFactory
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

from swim_server.streaming.framed_event import PLAIN

WINDOW_BITS = 12
"""4 KiB: a batch of positions gets no smaller with more, and nearly all clients get the same bytes."""


def extensions() -> list[ServerExtensionFactory]:
    """What to negotiate: no context is taken over in either direction, so none is kept for a connection either."""
    return [
        ServerPerMessageDeflateFactory(
            server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS
        )
    ]


def negotiated_window_bits(accepted: Sequence[Extension]) -> int:
    """The window for which events to a client may be compressed; ``PLAIN`` when it did not ask for compression."""
    for extension in accepted:
        if isinstance(extension, PerMessageDeflate):
            return extension.local_max_window_bits
    return PLAIN
