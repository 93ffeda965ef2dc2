"""Failed attempts by address: slowed first, then refused, forgotten over time. Pure and bounded; ``now`` is monotonic.

Each failure adds to an address's score, which melts away steadily. The same bad key again adds little: that is a
client whose key has ended, not somebody who is guessing, and others may stand behind the same address. An address
from which good keys come is given more room for the same reason. IPv6 addresses count by their /64 network, which is
what one household or attacker has.
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
"""How proxies write an address with its port: one of IPv6 stands in brackets then."""
_MARKS = 256
"""How many different bad keys of an address are remembered: as many clients with ended keys may stand behind it."""
_ALL_MARKS = 100_000
"""The same of all addresses together; beyond it, those of the one that was quiet for longest are forgotten."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """From which score on what happens."""

    free: float = 5
    """Failures that cost nothing: people mistype."""
    refused: float = 20
    """From here on new connections are refused before the upgrade."""
    trusted_factor: float = 5
    """How much more room an address has from which good keys came."""
    repeat_weight: float = 0.02
    """What the same bad key again counts."""
    melting_per_second: float = 0.1
    """How fast scores decay: a guess every ten seconds is always free."""
    highest: float = 60
    """Where scores end, so that an address is free again ten minutes after the last attempt at most."""
    first_penalty_seconds: float = 0.25
    longest_penalty_seconds: float = 5
    trust_seconds: float = 3600
    """How long a good key speaks for its address."""


class _Score(msgspec.Struct):
    """What is known of one address."""

    value: float
    at: float
    trusted_until: float = -math.inf
    marks: tuple[int, ...] = ()


class Attempts:
    """The scores of all addresses. When there are too many, the one that was quiet for longest is forgotten."""

    def __init__(self, limits: Limits | None = None, *, address_limit: int = 10_000) -> None:
        self.limits = limits or Limits()
        self.address_limit = address_limit
        self._scores: OrderedDict[str, _Score] = OrderedDict()
        self._mark_count = 0

    def __len__(self) -> int:
        return len(self._scores)

    def failed(self, address: str, now: float, mark: object = None) -> None:
        """Count a refused key. ``mark`` tells one bad key from another: its digest; only a hash of it is kept."""
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
        """Note that a good key came from this address."""
        self._score(address, now).trusted_until = now + self.limits.trust_seconds

    def retry_after(self, address: str, now: float) -> int | None:
        """Whole seconds after which this address may try again; None: it may now."""
        score = self._scores.get(group_of(address))
        if score is None:
            return None
        excess = self._value(score, now) - self.limits.refused * self._factor(score, now)
        return None if excess < 0 else max(1, math.ceil(excess / self.limits.melting_per_second))

    def penalty_seconds(self, address: str, now: float) -> float:
        """How long a refusal to this address is to be held back: it doubles with each failure beyond the free ones."""
        score = self._scores.get(group_of(address))
        if score is None:
            return 0.0
        beyond = math.floor(self._value(score, now) - self.limits.free * self._factor(score, now))
        if beyond <= 0:
            return 0.0
        doubled: float = self.limits.first_penalty_seconds * 2.0 ** min(beyond - 1, 16)
        return min(doubled, self.limits.longest_penalty_seconds)

    def _score(self, address: str, now: float) -> _Score:
        """Return the score of an address, molten down to now, and the youngest of all."""
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
    """Return the address a client comes from: what proxies wrote, read from the right as long as trusted ones wrote it.

    ``forwarded_for``: the values of all ``X-Forwarded-For`` headers, in their order. Entries may have ports and
    brackets; at one that is no address the last trusted proxy's word ends, and that proxy is the answer.
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
    """Return an address as proxies write it, without port and brackets; None: it is none."""
    text = text.strip().strip('"')
    found = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    parsed = parse_address(found[1] if found is not None else text)
    return None if parsed is None else str(parsed)


def group_of(address: str) -> str:
    """Return what one household or attacker has: an IPv4 address, an IPv6 network of 64 bits."""
    if ":" not in address:
        return address
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return address if parsed is None else str(parsed)
