"""Connections not yet admitted: how many there may be, per address and in total, and how much they may send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from swim_server.keys.permissions import is_within
from swim_server.keys.throttle import group_of

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.gateway.registry import Peer

GRACE_SECONDS = 1.0
"""How long a connection may be silent before it can be dropped in favour of a new one."""


class ArrivalLimits(Protocol):
    """How many connections may wait for admission, and how much they may send before it."""

    max_arriving: int
    max_arriving_per_address: int
    max_arriving_bytes: int


class _Arrival:
    __slots__ = ("group", "held_bytes", "since")

    def __init__(self, since: float, group: str | None) -> None:
        self.since = since
        self.group = group
        """The address that it counts towards; None: none, as a proxy stands for many."""
        self.held_bytes = 0


class Arrivals:
    """Counts arriving connections. If there are too many, the one silent for longest is dropped, else the newest."""

    def __init__(self, limits: ArrivalLimits, trusted_proxies: Sequence[str], *, clock: Clock) -> None:
        self.dropped = 0
        """Connections dropped since the start."""
        self._limits = limits
        self._trusted_proxies = tuple(trusted_proxies)
        self._monotonic = clock.monotonic
        self._arrivals: dict[Peer, _Arrival] = {}
        self._silent: dict[Peer, None] = {}
        """Connections whose request is not complete, oldest first."""
        self._by_group: dict[str, dict[Peer, None]] = {}
        self._held_bytes = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._arrivals)

    def add(self, peer: Peer, address: str | None) -> None:
        """Register a new connection; drops one, perhaps this one, if there are too many."""
        group = None if address is None or is_within(address, self._trusted_proxies) else group_of(address)
        self._arrivals[peer] = _Arrival(self._monotonic(), group)
        self._silent[peer] = None
        if group is not None:
            of_group = self._by_group.setdefault(group, {})
            of_group[peer] = None
            if len(of_group) > self._limits.max_arriving_per_address:
                self._drop(self._oldest_silent(of_group) or peer)
                return
        if len(self._arrivals) > self._limits.max_arriving:
            self._drop(self._oldest_silent(self._silent) or peer)

    def request_read(self, peer: Peer) -> None:
        """Note that a request is complete: any further delay is on our side."""
        self._silent.pop(peer, None)

    def hold(self, peer: Peer, size_bytes: int) -> None:
        """Note bytes that are kept until the connection is admitted; drops it if there are too many."""
        arrival = self._arrivals.get(peer)
        if arrival is None:
            return
        arrival.held_bytes += size_bytes
        self._held_bytes += size_bytes
        if self._held_bytes > self._limits.max_arriving_bytes:
            self._drop(peer)

    def remove(self, peer: Peer) -> None:
        """Forget a connection that was admitted, refused or lost. Idempotent."""
        arrival = self._arrivals.pop(peer, None)
        if arrival is None:
            return
        self._silent.pop(peer, None)
        self._held_bytes -= arrival.held_bytes
        if arrival.group is not None:
            of_group = self._by_group[arrival.group]
            del of_group[peer]
            if not of_group:
                del self._by_group[arrival.group]

    def _oldest_silent(self, among: dict[Peer, None]) -> Peer | None:
        latest = self._monotonic() - GRACE_SECONDS
        oldest = next((peer for peer in among if peer in self._silent), None)
        return oldest if oldest is not None and self._arrivals[oldest].since <= latest else None

    def _drop(self, peer: Peer) -> None:
        self.dropped += 1
        self.remove(peer)
        peer.abort()
