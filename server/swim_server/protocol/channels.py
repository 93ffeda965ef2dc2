"""Channels: the event types there are, by family, and which of them a channel selects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType

from swim_server.protocol.codes import BadMessage, ErrorCode, show

EVERYTHING = "*"
"""The channel of every event."""
PROBE = "system.notice#probe"
"""The type of the events by which the service is examined. On the wire it is what stands before the ``#``; no channel
that a client may name selects it, not ``*`` either: only a connection that is given this very channel receives them."""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flight": ("created", "updated", "departed", "arrived", "deleted", "position", "positions"),
        "tmi": ("issued", "modified", "released"),
        "system": ("heartbeat", "notice"),
        "cdm": ("updated", "edct", "ctot", "gs"),
        "ctp": ("slots.optimized", "session.updated", "edct.assigned"),
        "splits": ("activated", "deactivated", "updated", "ingested"),
        "aman": ("sequence", "updated"),
    }
)
"""The built-in families and their types, without the family's name."""

_NO_EXTRA: Mapping[str, Sequence[str]] = MappingProxyType({})
_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,32}(?:\.[A-Za-z0-9_-]{1,32}){0,3}", re.ASCII)
_LONGEST_COMPARED = 128


class InvalidChannel(BadMessage):
    """A channel that selects nothing, as no type or family has that name."""

    def __init__(self, channel: object, nearest: str | None) -> None:
        self.channel = channel
        self.nearest = nearest
        shown = show(channel)
        hint = f"did you mean {nearest}?" if nearest else "channels are event types, a family with .*, or *"
        details = {"channel": channel if isinstance(channel, str) and len(channel) < _LONGEST_COMPARED else shown}
        super().__init__(ErrorCode.INVALID_CHANNEL, f"unknown channel {shown}: {hint}", details | {"nearest": nearest})


class InvalidFamily(ValueError):
    """A declared family or type whose name can't be one."""

    def __init__(self, family: str, type: str | None = None) -> None:
        self.family = family
        self.type = type
        super().__init__(family, type)

    def __str__(self) -> str:
        if self.type is None:
            return f"in channels.families: {show(self.family)} is no family name: letters, digits, - and _ (1 to 32)"
        return f"in channels.families.{self.family}: {show(self.type)} is no type name: like updated or slots.optimized"


def matches(channel: str, type: str) -> bool:
    """Whether events of ``type`` belong to ``channel``: the same, ``*``, or ``family.*`` with that family."""
    if channel in (type, EVERYTHING):
        return True
    return channel.endswith(".*") and channel.count(".") == 1 and type.startswith(channel[:-1])


class Catalogue:
    """All channels of a service: the built-in ones and those declared in the configuration. Immutable.

    ``extra`` maps a family to its types without the family's name; a built-in family gains the types named.
    Raises InvalidFamily.
    """

    def __init__(self, extra: Mapping[str, Sequence[str]] = _NO_EXTRA) -> None:
        families = dict(FAMILIES)
        for family, names in extra.items():
            _check_names(family, names)
            families[family] = tuple(dict.fromkeys((*families.get(family, ()), *names)))
        self.families: Mapping[str, tuple[str, ...]] = MappingProxyType(families)
        """Each family's types, without its name."""
        self.types = frozenset(f"{family}.{name}" for family, names in families.items() for name in names)
        """Every known event type."""
        self.channels = self.types | {f"{family}.*" for family in families} | {EVERYTHING}
        """Everything that can be subscribed to."""

    def check(self, channel: str) -> str:
        """Answer the channel without surrounding blanks. Raises InvalidChannel when there is none such."""
        name = channel.strip() if isinstance(channel, str) else channel
        if not isinstance(name, str) or name not in self.channels:
            raise InvalidChannel(channel, self.nearest(channel))
        return name

    def nearest(self, text: object) -> str | None:
        """Find the known channel that a wrong one was most likely meant to be; None when nothing is like it."""
        if not isinstance(text, str) or len(text) > _LONGEST_COMPARED:
            return None
        wanted = text.strip().lower()
        known = {channel.lower(): channel for channel in sorted(self.channels)}
        found = get_close_matches(wanted, known, n=1, cutoff=0.6) or get_close_matches(
            f"{wanted}.*", known, n=1, cutoff=0.75
        )
        return known[found[0]] if found else None

    def expand(self, channels: Iterable[str]) -> frozenset[str]:
        """Find the known types that the channels select together."""
        selected: set[str] = set()
        for channel in channels:
            name = channel.strip()
            selected.update([PROBE] if name == PROBE else (type for type in self.types if matches(name, type)))
        return frozenset(selected)


def _check_names(family: str, names: Sequence[str]) -> None:
    if not _FAMILY.fullmatch(family):
        raise InvalidFamily(family)
    for name in names:
        if not _TYPE.fullmatch(name):
            raise InvalidFamily(family, name)
