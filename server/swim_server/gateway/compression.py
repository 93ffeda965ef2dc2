"""permessage-deflate (RFC 7692): what is negotiated, so that one compressed frame serves all clients."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.extensions.base import Extension, ServerExtensionFactory
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.typing import ExtensionParameter

from swim_server.streaming.framed_event import PLAIN

WINDOW_BITS = 12
"""4 KiB: a larger window makes batches of positions no smaller, and nearly all clients get the same bytes."""


class _Factory(ServerPerMessageDeflateFactory):
    """Sends ``server_max_window_bits`` only to clients that offered it (RFC 7692, section 7.1.2.1).

    Some clients reject it otherwise; any client can read what was compressed with a smaller window than its own.
    """

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if not any(name == "server_max_window_bits" for name, _ in params):
            answer = [(name, value) for name, value in answer if name != "server_max_window_bits"]
        return answer, extension


def extensions() -> list[ServerExtensionFactory]:
    """Return what to negotiate: no context takeover in either direction, so that no context is kept."""
    return [
        _Factory(server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS)
    ]


def negotiated_window_bits(accepted: Sequence[Extension]) -> int:
    """Return the window with which a client's events are compressed; ``PLAIN`` if it did not negotiate compression."""
    for extension in accepted:
        if isinstance(extension, PerMessageDeflate):
            return extension.local_max_window_bits
    return PLAIN
