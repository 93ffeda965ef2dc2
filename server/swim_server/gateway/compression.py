"""permessage-deflate (RFC 7692): what clients are offered, so that one compressed frame serves them all."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.extensions.base import Extension, ServerExtensionFactory
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.typing import ExtensionParameter

from swim_server.streaming.framed_event import PLAIN

WINDOW_BITS = 12
"""4 KiB: a batch of positions gets no smaller with more, and nearly all clients get the same bytes."""


class _Factory(ServerPerMessageDeflateFactory):
    """Answers with ``server_max_window_bits`` only who offered it (RFC 7692, section 7.1.2.1).

    Some clients refuse it otherwise; any client can read what was compressed with a smaller window than its own.
    """

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        answer, extension = super().process_request_params(params, accepted_extensions)
        if not any(name == "server_max_window_bits" for name, _ in params):
            answer = [(name, value) for name, value in answer if name != "server_max_window_bits"]
        return answer, extension


def extensions() -> list[ServerExtensionFactory]:
    """Return what to negotiate: no context is taken over in either direction, so that none is kept."""
    return [
        _Factory(server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS)
    ]


def negotiated_window_bits(accepted: Sequence[Extension]) -> int:
    """Return the window for which events to a client are compressed; ``PLAIN`` when it did not ask for that."""
    for extension in accepted:
        if isinstance(extension, PerMessageDeflate):
            return extension.local_max_window_bits
    return PLAIN
