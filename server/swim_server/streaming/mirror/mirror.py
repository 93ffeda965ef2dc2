"""What a group that asked for state gets for an event: the event, and what it changes in the group's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from swim_server.state import messages
from swim_server.streaming.mirror.membership import NO_CROSSING, Crossing, Membership
from swim_server.streaming.mirror.notices import FramedNotices

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.events import Event
    from swim_server.streaming.framed_event import FramedEvent
    from swim_server.streaming.match import Match
    from swim_server.streaming.mirror.membership import Touched


class StateOwner(Protocol):
    """What folds the events and keeps the memberships."""

    touched: Touched | None

    def leave(self, membership: Membership) -> None:
        """Track it for one group less."""


class Mirror:
    """Keeps the state of a group's members correct: changes across their filters are sent beside the events."""

    def __init__(
        self,
        state: StateOwner,
        membership: Membership,
        types: frozenset[str],
        kinds: tuple[str, ...],
        catalogue: Catalogue,
    ) -> None:
        self.membership = membership
        self.kinds = kinds
        """The kinds whose families are subscribed to."""
        self._state = state
        self._types = types
        self._catalogue = catalogue

    def close(self) -> None:
        """Release the membership: the group has no members any more."""
        self._state.leave(self.membership)

    def frames(self, match: Match[Any]) -> list[FramedEvent]:
        """Return what the members are sent for an event: the event, then the entries that crossed the filters."""
        event, touched = match.event, self._state.touched
        is_subscribed = not self._types.isdisjoint(self._catalogue.keys(event.type))
        framed = match.sift(self.membership.filters) if is_subscribed else None
        frames = [framed] if framed is not None else []
        if touched is not None and touched.event is event:
            crossing = self.membership.judge(touched)
            told = self._told(crossing, event, is_subscribed=is_subscribed, is_sent=framed is not None)
            if told:
                frames.append(FramedNotices(event, told))
        return frames

    def _told(self, crossing: Crossing, event: Event, *, is_subscribed: bool, is_sent: bool) -> list[bytes]:
        if crossing is NO_CROSSING:
            return []
        known = crossing.ended if is_sent else ()
        entered = [
            messages.entered(entries.kind, entries.encoded(key), event.id)
            for entries, key in (*crossing.entered, *(crossing.stale if is_subscribed else ()))
            if entries.kind.name in self.kinds
        ]
        left = [
            messages.left(entries.kind, key, event.id)
            for entries, key in crossing.left
            if entries.kind.name in self.kinds and (entries, key) not in known
        ]
        return entered + left
