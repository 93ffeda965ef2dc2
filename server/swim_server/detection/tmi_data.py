"""Traffic management initiatives in the form of ``tmi.*`` events, whatever their source."""

from __future__ import annotations

from hashlib import blake2s

import msgspec

from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.timestamps import format_ms

RELEASED_FIELDS = ("program_id", "program_type", "airport", "status", "end_time", "airports", "firs")
"""What it concerned is repeated, so that the same filters pass the issue and the release."""


class Initiative(msgspec.Struct, frozen=True, kw_only=True):
    """What is announced of a programme, a ground stop or a flow measure."""

    program_id: int | str
    program_type: str | None = None
    airport: str | None = None
    """The aerodrome or flow area that it applies to."""
    start_ms: int | None = None
    end_ms: int | None = None
    reason: str | None = None
    more: JsonObject = {}
    """Further fields of the data, as the source has them."""

    def data(self, status: str | None) -> JsonObject:
        """Build the data of ``tmi.issued`` and ``tmi.modified``."""
        return {
            "program_id": self.program_id,
            "program_type": self.program_type,
            "airport": self.airport,
            "start_time": _time(self.start_ms),
            "end_time": _time(self.end_ms),
            "reason": self.reason,
            "status": status,
            **self.more,
        }

    def terms(self) -> str:
        """Return a digest of the terms: equal digests mean that nothing announced differs."""
        return blake2s(msgspec.json.encode(self, order="sorted"), digest_size=8).hexdigest()


def issued(name: str, initiative: Initiative, status: str | None, at_ms: int | None) -> NewEvent:
    """Report that an initiative is in force from now on. ``name`` identifies it and this issue of it."""
    return NewEvent(type="tmi.issued", data=initiative.data(status), timestamp_ms=at_ms, event_id=f"{name}:issued")


def modified(name: str, initiative: Initiative, status: str | None, at_ms: int | None, number: int) -> NewEvent:
    """Report new terms of an initiative in force. ``number``: how often it was modified, including now."""
    event_id = f"{name}:modified:{number}:{initiative.terms()}"
    return NewEvent(type="tmi.modified", data=initiative.data(status), timestamp_ms=at_ms, event_id=event_id)


def released(name: str, initiative: Initiative, status: str | None, at_ms: int | None) -> NewEvent:
    """Report that an initiative has ended."""
    data = {field: value for field, value in initiative.data(status).items() if field in RELEASED_FIELDS}
    return NewEvent(type="tmi.released", data=data, timestamp_ms=at_ms, event_id=f"{name}:released")


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_ms(moment)
