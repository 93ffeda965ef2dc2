"""Who may publish what, how much, and in which form: the rules of the ``publish`` action. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from swim_server.keys.permissions import publish_refusal
from swim_server.protocol.channels import Catalogue, InvalidChannel
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import InvalidData
from swim_server.protocol.normalise import with_north_as_zero
from swim_server.protocol.payloads import check_payload

if TYPE_CHECKING:
    from swim_server.keys.records import KeyRecord

EVENTS_PER_SECOND = 100
MAX_EVENT_BYTES = 65_535
_MARK = b'"publish"'


class Publishing:
    """The rules of one configuration. Immutable: a change creates another."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        events_per_second: int = EVENTS_PER_SECOND,
        max_event_bytes: int = MAX_EVENT_BYTES,
        channels_by_key: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        """Build the rules; ``channels_by_key`` restricts what some keys may publish."""
        self._catalogue = catalogue
        self.events_per_second = events_per_second
        """Limit per connection."""
        self.max_event_bytes = max_event_bytes
        """Limit per message."""
        self._types_by_key = {key_id: catalogue.expand(named) for key_id, named in (channels_by_key or {}).items()}
        self._named_by_key = dict(channels_by_key or {})

    def knows(self, event_type: str) -> bool:
        """Tell whether the type exists."""
        return self._catalogue.knows(event_type)

    def may_publish(self, tier: str) -> bool:
        """Tell whether the keys of a tier may publish at all."""
        return tier == "system"

    def governs(self, tier: str, payload: bytes) -> bool:
        """Tell whether a message counts towards the limits of publishing, before it is decoded."""
        return self.may_publish(tier) and _MARK in payload

    def check(self, event: NewEvent) -> NewEvent:
        """Refuse an event that nobody may publish; return its data in wire form: a heading of 360 becomes 0.

        Raises BadMessage (INVALID_PUBLISH).
        """
        if not self._catalogue.knows(event.type):
            nearest = self._catalogue.nearest(event.type)
            wrong = InvalidChannel(event.type, nearest if nearest in self._catalogue.types else None)
            raise BadMessage(ErrorCode.INVALID_PUBLISH, f"can't publish: {wrong}", wrong.data)
        if event.type == "system.heartbeat":
            raise BadMessage(ErrorCode.INVALID_PUBLISH, "system.heartbeat is the service's own")
        data = with_north_as_zero(event.type, event.data)
        if data is not event.data:
            event = msgspec.structs.replace(event, data=data)
        try:
            check_payload(event.type, event.data)
        except InvalidData as invalid:
            text = f"can't publish {event.type}: {invalid}"
            raise BadMessage(ErrorCode.INVALID_PUBLISH, text, {"path": invalid.path}) from None
        return event

    def authorise(self, key: KeyRecord | None, event: NewEvent) -> None:
        """Refuse what this key may not publish; None: the control socket. Raises BadMessage (FORBIDDEN)."""
        if key is None:
            return
        refusal = publish_refusal(key, event.data)
        types = self._types_by_key.get(key.id)
        if refusal is None and types is not None and types.isdisjoint(self._catalogue.keys(event.type)):
            refusal = f"this key may publish only {', '.join(self._named_by_key[key.id])}"
        if refusal is not None:
            raise BadMessage(ErrorCode.FORBIDDEN, refusal)
