"""Failed attempts by address: first slowed, then refused, forgotten over time. Pure and bounded; ``now`` is monotonic.

Each failure adds to an address's score, which decays steadily. A repeated bad key adds little: that is a client whose
key has ended, not an attacker, and others may share its address. An address that sent valid keys gets more room for the
same reason. IPv6 addresses count by their /64 network, which is what one household or attacker has.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_network

import msgspec

from swim_server.keys.permissions import is_within, parse_address

_BRACKETED = re.compile(r"\[([^\]]+)\](?::\d{1,5})?")
_WITH_PORT = re.compile(r"([^:]+):\d{1,5}")
"""An address with a port as proxies write it: IPv6 addresses have brackets then."""
_MARKS = 256
"""How many different bad keys of an address are remembered: as many clients with ended keys may share it."""
_ALL_MARKS = 100_000
"""The same for all addresses together; beyond it, those of the address quiet for longest are dropped."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The scores at which something happens."""

    free: float = 5
    """Failures without consequences: people mistype."""
    refused: float = 20
    """From this score on, new connections are refused before the upgrade."""
    trusted_factor: float = 5
    """How much more room an address has that sent valid keys."""
    repeat_weight: float = 0.02
    """What a repeated bad key adds."""
    melting_per_second: float = 0.1
    """How fast scores decay: a guess every ten seconds is always free."""
    highest: float = 60
    """Maximum score, so that an address is free again at most ten minutes after the last attempt."""
    first_penalty_seconds: float = 0.25
    longest_penalty_seconds: float = 5
    trust_seconds: float = 3600
    """How long a valid key counts in favour of its address."""


class _Score(msgspec.Struct):
    """What is known of one address."""

    value: float
    at: float
    trusted_until: float = -math.inf
    marks: tuple[int, ...] = ()


class Attempts:
    """The scores of all addresses. If there are too many, the address quiet for longest is forgotten."""

    def __init__(self, limits: Limits | None = None, *, address_limit: int = 10_000) -> None:
        self.limits = limits or Limits()
        self.address_limit = address_limit
        self._scores: OrderedDict[str, _Score] = OrderedDict()
        self._mark_count = 0

    def __len__(self) -> int:
        return len(self._scores)

    def failed(self, address: str, now: float, mark: object = None) -> None:
        """Count a refused key. ``mark`` identifies the bad key: its digest, of which only a hash is kept."""
        score = self._score(address, now)
        known = hash(mark)
        is_repeat = mark is not None and known in score.marks
        score.value = min(score.value + (self.limits.repeat_weight if is_repeat else 1), self._highest(score, now))
        if mark is not None and not is_repeat:
            before = len(score.marks)
            score.marks = (*score.marks[1 - _MARKS :], known)
            self._mark_count += len(score.marks) - before
            self._forget_marks()

    def succeeded(self, address: str, now: float) -> None:
        """Note a valid key from this address."""
        self._score(address, now).trusted_until = now + self.limits.trust_seconds

    def retry_after(self, address: str, now: float) -> int | None:
        """Return the whole seconds after which this address may try again; None: it may now."""
        score = self._scores.get(group_of(address))
        if score is None:
            return None
        excess = self._value(score, now) - self.limits.refused * self._factor(score, now)
        return None if excess < 0 else max(1, math.ceil(excess / self.limits.melting_per_second))

    def penalty_seconds(self, address: str, now: float) -> float:
        """Return how long a refusal to this address is delayed: it doubles with each failure beyond the free ones."""
        score = self._scores.get(group_of(address))
        if score is None:
            return 0.0
        beyond = math.floor(self._value(score, now) - self.limits.free * self._factor(score, now))
        if beyond <= 0:
            return 0.0
        doubled: float = self.limits.first_penalty_seconds * 2.0 ** min(beyond - 1, 16)
        return min(doubled, self.limits.longest_penalty_seconds)

    def _score(self, address: str, now: float) -> _Score:
        """Return the score of an address, decayed to now, and make it the most recent."""
        group = group_of(address)
        score = self._scores.get(group)
        if score is None:
            score = self._scores[group] = _Score(0.0, now)
            if len(self._scores) > self.address_limit:
                self._mark_count -= len(self._scores.popitem(last=False)[1].marks)
        else:
            self._scores.move_to_end(group)
            score.value, score.at = self._value(score, now), now
            if score.value == 0:
                self._mark_count -= len(score.marks)
                score.marks = ()
        return score

    def _forget_marks(self) -> None:
        for score in self._scores.values():
            if self._mark_count <= _ALL_MARKS:
                return
            self._mark_count -= len(score.marks)
            score.marks = ()

    def _value(self, score: _Score, now: float) -> float:
        return max(0.0, score.value - (now - score.at) * self.limits.melting_per_second)

    def _factor(self, score: _Score, now: float) -> float:
        return self.limits.trusted_factor if now < score.trusted_until else 1

    def _highest(self, score: _Score, now: float) -> float:
        return max(self.limits.highest, self.limits.refused * self._factor(score, now) + self.limits.refused)


def client_address(peer: str, forwarded_for: Iterable[str], trusted_proxies: Sequence[str]) -> str:
    """Return the address of a client: what proxies wrote, read from the right as long as trusted ones wrote it.

    ``forwarded_for``: the values of all ``X-Forwarded-For`` headers, in order. Entries may have ports and brackets; an
    entry that is not an address ends the chain, and the last trusted proxy is the result.
    """
    networks = tuple(trusted_proxies)
    current = (_normal(peer) or peer) if ":" in peer else peer
    hops = [hop for line in forwarded_for for hop in line.split(",")]
    while hops and is_within(current, networks):
        hop = _normal(hops.pop())
        if hop is None:
            break
        current = hop
    return current


def _normal(text: str) -> str | None:
    """Return an address as written by proxies, without port and brackets; None: it is not an address."""
    text = text.strip().strip('"')
    found = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    parsed = parse_address(found[1] if found is not None else text)
    return None if parsed is None else str(parsed)


def group_of(address: str) -> str:
    """Return what one household or attacker has: an IPv4 address, or a 64-bit IPv6 network."""
    if ":" not in address:
        return address
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return address if parsed is None else str(parsed)
