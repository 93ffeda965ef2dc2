"""Channels: the known event types, by family, and which of them a channel selects."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from difflib import get_close_matches
from types import MappingProxyType

from swim_server.protocol.codes import BadMessage, ErrorCode, show
from swim_server.protocol.json_data import JsonObject

EVERYTHING = "*"
"""The channel that selects every event."""
OPEN_END = ".*"
"""The ending of an open-ended type (``tmi.program.*``) and of a family's channel."""
PROBE = "system.notice#probe"
"""The type of the doctor's test events. On the wire it appears without the part from ``#`` on. No channel that a client
may name selects it, not even ``*``: only a connection subscribed to this exact channel receives them.
"""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flight": ("created", "updated", "departed", "arrived", "deleted", "position", "positions"),
        "tmi": (
            *("issued", "modified", "released", "action", "edct_assigned", "edct_cancelled"),
            *("gate_hold", "gate_release", "program.*", "advisory.*", "entry.*", "reroute.*", "slot.*"),
            *("coordination.*", "flow_measure.*"),
        ),
        "system": ("heartbeat", "notice"),
        "cdm": ("updated", "edct", "ctot", "gs"),
        "ctp": (
            *("slots.optimized", "session.updated", "session.*", "edct.assigned", "edct.removed"),
            *("edct.batch_assigned", "route.modified", "flights.detected"),
            *("slot.assigned", "slot.released", "slot.frozen", "slot.missed", "slot.at_risk"),
        ),
        "splits": ("activated", "deactivated", "updated", "ingested"),
        "aman": ("sequence", "updated"),
        "controller": ("connected", "disconnected", "positions"),
        "facility": ("staffing",),
        "simtraffic": ("lifecycle.*",),
        "metering": ("*",),
    }
)
"""The built-in families and their types, without the family's name. A type that ends in ``*`` is open-ended: every type
with that prefix is known, such as ``tmi.program.published``.
"""

ALIASES: Mapping[str, str] = MappingProxyType(
    {f"ctp.slot.{name}": f"ctp_slot_{name}" for name in ("assigned", "released", "frozen", "missed", "at_risk")}
)
"""Names that a client may use for types whose producer writes them without a family."""

_NO_EXTRA: Mapping[str, Sequence[str]] = MappingProxyType({})
_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,32}(?:\.[A-Za-z0-9_-]{1,32}){0,3}(?:\.\*)?", re.ASCII)
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,32}(?:\.[A-Za-z0-9_-]{1,32}){1,4}", re.ASCII)
_LONGEST_COMPARED = 128
_MAX_EXPANDED = 256
"""How many sets of channels the expansion is remembered of; few are in use, but a client may name any."""
_DOTTED: Mapping[str, str] = MappingProxyType({type: alias for alias, type in ALIASES.items()})
LOOSE_TYPES: Set[str] = _DOTTED.keys()
"""Types whose producers write the fields beside ``type`` instead of inside ``data``."""
_ENVELOPE = frozenset({"type", "event_id", "_received_at"})
"""Fields that are not part of an event's data if its fields are beside its type."""


def loose_data(entry: Mapping[str, object]) -> JsonObject:
    """Return the data of an entry of such a type that has no ``data``: the fields beside its type."""
    return {field: value for field, value in entry.items() if field not in _ENVELOPE}


class InvalidChannel(BadMessage):
    """A channel that selects nothing: no type or family has that name."""

    def __init__(self, channel: object, nearest: str | None) -> None:
        self.channel = channel
        self.nearest = nearest
        shown = show(channel)
        hint = f"did you mean {nearest}?" if nearest else "channels are event types, a family with .*, or *"
        details = {"channel": channel if isinstance(channel, str) and len(channel) < _LONGEST_COMPARED else shown}
        super().__init__(ErrorCode.INVALID_CHANNEL, f"unknown channel {shown}: {hint}", details | {"nearest": nearest})


class InvalidFamily(ValueError):
    """A declared family or type whose name is not valid."""

    def __init__(self, family: str, type: str | None = None) -> None:
        self.family = family
        self.type = type
        super().__init__(family, type)

    def __str__(self) -> str:
        if self.type is None:
            return f"in channels.families: {show(self.family)} is not a family name: letters, digits, - and _ (1 to 32)"
        rule = "is not a type name: like updated, slots.optimized or program.*"
        return f"in channels.families.{self.family}: {show(self.type)} {rule}"


def matches(channel: str, type: str) -> bool:
    """Tell whether ``channel`` selects events of ``type``: it is equal, ``*``, or a prefix that ends in ``*``."""
    if channel in (type, EVERYTHING):
        return True
    dotted = _DOTTED.get(type, type)
    return channel == dotted or (channel.endswith(".*") and dotted.startswith(channel[:-1]))


def family_of(type: str) -> str:
    """Return the family of a type: the part before the first dot, or ``ctp`` for ``ctp_slot_assigned``."""
    return _DOTTED.get(type, type).partition(".")[0]


def is_listed(type: str, types: Collection[str]) -> bool:
    """Tell whether a type is one of ``types``, or of the open-ended ones (``tmi.program.*``) among them."""
    return type in types or any(prefix in types for prefix in _prefixes(type))


def _prefixes(type: str) -> list[str]:
    """Yield every open-ended type that may cover this one, longest first: ``a.b.c`` gives ``a.b.*``, ``a.*``."""
    parts = type.split(".")
    return [f"{'.'.join(parts[:length])}.*" for length in range(len(parts) - 1, 0, -1)]


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
        named = (f"{family}.{name}" for family, names in families.items() for name in names)
        self.types = frozenset(ALIASES.get(name, name) for name in named)
        """Every known event type; ``tmi.program.*`` stands for all types with that prefix."""
        self.open_types = frozenset(name for name in self.types if name.endswith(".*"))
        """Those of them that are open-ended."""
        self._keys = {type: (type,) for type in self.types}
        self.channels = self.types | {f"{family}.*" for family in families} | {EVERYTHING}
        """Every channel that can be subscribed to."""
        self._expanded: dict[frozenset[str], frozenset[str]] = {}

    def check(self, channel: str) -> str:
        """Return the channel stripped, with an alias replaced by its type. Raises InvalidChannel if it is unknown."""
        name = canonical_channel(channel) if isinstance(channel, str) else channel
        if not isinstance(name, str) or not (name in self.channels or self.knows(name)):
            raise InvalidChannel(channel, self.nearest(channel))
        return name

    def knows(self, type: str) -> bool:
        """Tell whether events of this type may be published."""
        if type in self.types:
            return type not in self.open_types
        return bool(self._open_ended(type)) and _EVENT_TYPE.fullmatch(type) is not None

    def keys(self, type: str) -> tuple[str, ...]:
        """Return what ``expand`` may contain for channels with this type: it and the open-ended ones around it."""
        return self._keys.get(type) or (type, *self._open_ended(type))

    def _open_ended(self, type: str) -> list[str]:
        return [prefix for prefix in _prefixes(type) if prefix in self.open_types]

    def nearest(self, text: object) -> str | None:
        """Return the known channel most similar to a wrong one; None if none is similar."""
        if not isinstance(text, str) or len(text) > _LONGEST_COMPARED:
            return None
        wanted = text.strip().lower()
        known = {channel.lower(): channel for channel in sorted(self.channels)}
        found = get_close_matches(wanted, known, n=1, cutoff=0.6) or get_close_matches(
            f"{wanted}.*", known, n=1, cutoff=0.75
        )
        return known[found[0]] if found else None

    def expand(self, channels: Iterable[str]) -> frozenset[str]:
        """Return the known types that the channels select together; an open-ended type stays ``tmi.program.*``."""
        chosen = frozenset(channels)
        found = self._expanded.get(chosen)
        if found is None:
            if len(self._expanded) >= _MAX_EXPANDED:
                self._expanded.clear()
            found = self._expanded[chosen] = self._expand(chosen)
        return found

    def _expand(self, channels: Iterable[str]) -> frozenset[str]:
        selected: set[str] = set()
        for channel in channels:
            name = canonical_channel(channel)
            if name == PROBE or (name not in self.channels and self.knows(name)):
                selected.add(name)
            else:
                selected.update(type for type in self.types if matches(name, type))
        return frozenset(selected)


def canonical_channel(channel: str) -> str:
    """Return a channel stripped, with an alias replaced by its type."""
    name = channel.strip()
    return ALIASES.get(name, name)


def _check_names(family: str, names: Sequence[str]) -> None:
    if not _FAMILY.fullmatch(family):
        raise InvalidFamily(family)
    for name in names:
        if not _TYPE.fullmatch(name):
            raise InvalidFamily(family, name)
