"""State messages caused by one event, framed once for all that get them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.framed_event import FramedEvent, frame_payload

if TYPE_CHECKING:
    from swim_server.protocol.events import Event

_NO_FLIGHTS: Mapping[Hashable, Any] = MappingProxyType({})


class FramedNotices(FramedEvent):
    """Ordered in a group like their event. No newer position replaces them."""

    def __init__(self, event: Event, payloads: Sequence[bytes]) -> None:
        super().__init__(event)
        self._payloads = payloads
        self.__dict__["flights"] = _NO_FLIGHTS

    def frame(self, window_bits: int, max_message_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
        """Return the frames of all that such clients accept, joined."""
        name = (window_bits, max_message_bytes)
        found = self.frames.get(name)
        if found is None:
            chosen = [each for each in self._payloads if len(each) <= max_message_bytes]
            found = self.frames[name] = b"".join([frame_payload(each, window_bits) for each in chosen])
        return found
