"""The groups that have members, by what their members have in common, and the index that finds them for an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.streaming.group import Group
from swim_server.streaming.index.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.protocol.channels import Catalogue
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.mirror.live_state import LiveState
    from swim_server.streaming.subscription import Subscription

GroupKey = tuple["Subscription", int, int, bool]
"""Subscription, compression window, longest message, and whether its members asked for state."""


class Groups:
    """Creates a group with its first member's key and discards it with its last member."""

    def __init__(
        self, catalogue: Catalogue, state: LiveState, match_pending: Callable[[Group[Connection]], None]
    ) -> None:
        self.by_key: dict[GroupKey, Group[Connection]] = {}
        self.mirrors: dict[Group[Connection], None] = {}
        """Those whose members asked for state, in the order of their creation."""
        self.index: Index[Group[Connection]] = Index(catalogue)
        self._catalogue = catalogue
        self._state = state
        self._match_pending = match_pending

    def find(
        self, subscription: Subscription, window_bits: int, max_message_bytes: int, *, is_mirror: bool
    ) -> Group[Connection]:
        """Return the group with this key, created if there is none."""
        key = (subscription, window_bits, max_message_bytes, is_mirror)
        group = self.by_key.get(key)
        if group is None:
            mirror = self._state.mirror(subscription, self._catalogue) if is_mirror else None
            group = self.by_key[key] = Group(*key[:3], match_pending=self._match_pending, mirror=mirror)
            self.index.add(group)
            if mirror is not None:
                self.mirrors[group] = None
        return group

    def discard_if_empty(self, group: Group[Connection] | None) -> None:
        """Forget a group that has no member left. Idempotent."""
        if group is None or group.members:
            return
        key = (group.subscription, group.window_bits, group.max_message_bytes, group.mirror is not None)
        if self.by_key.get(key) is group:
            del self.by_key[key]
            self.index.remove(group)
            if group.mirror is not None:
                del self.mirrors[group]
                group.mirror.close()
