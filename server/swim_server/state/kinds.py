"""Kinds of entries that make up the world: which events open, change and end them, and what identifies them. Pure.

A kind is sent to clients that subscribe to a channel of its family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from swim_server.errors import OperatorError
from swim_server.protocol.channels import family_of

Key = int | str | tuple[int | str, ...]
"""Identifies an entry: the value of its key field, or of all of them if there are several."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of entry, formed by the events of one family."""

    name: str
    """Its name on the wire: ``tmis``."""
    family: str
    key: tuple[str, ...]
    """The data fields that identify the entry; an event without all of them belongs to none."""
    ends: frozenset[str]
    """The event types that end an entry."""
    changes: frozenset[str] | None = None
    """The event types that open or change an entry; None: all of the family that don't end one."""

    def takes(self, event_type: str) -> bool:
        """Tell whether events of a type concern entries of this kind."""
        if event_type in self.ends:
            return True
        return family_of(event_type) == self.family if self.changes is None else event_type in self.changes

    def key_of(self, data: Mapping[str, object]) -> Key | None:
        """Return the key of the entry that an event's data, or an entry itself, is about."""
        if len(self.key) == 1:
            return _key_part(data.get(self.key[0]))
        parts = tuple(part for field in self.key if (part := _key_part(data.get(field))) is not None)
        return parts if len(parts) == len(self.key) else None

    def names_of(self, key: Key) -> dict[str, Any]:
        """Return the fields of a key."""
        parts = key if isinstance(key, tuple) else (key,)
        return dict(zip(self.key, parts, strict=True))


class FlightKind(Kind, frozen=True, kw_only=True):
    """Flights: identified by ``flight_uid``, or by callsign if their events have no uid."""

    def key_of(self, data: Mapping[str, object]) -> Key | None:
        """Return the key of the flight that an event, a position or an entry is about."""
        uid = data.get("flight_uid")
        if type(uid) is int:
            return uid
        callsign = data.get("callsign")
        return callsign if isinstance(callsign, str) and callsign else None

    def names_of(self, key: Key) -> dict[str, Any]:
        """Return the fields of a key."""
        return {"flight_uid": key, "callsign": None} if isinstance(key, int) else {"flight_uid": None, "callsign": key}


FLIGHTS = FlightKind(
    name="flights",
    family="flight",
    key=("flight_uid",),
    ends=frozenset({"flight.deleted"}),
    changes=frozenset(
        f"flight.{name}" for name in ("created", "updated", "departed", "arrived", "position", "positions")
    ),
)
TMIS = Kind(
    name="tmis",
    family="tmi",
    key=("program_id",),
    ends=frozenset({"tmi.released"}),
    changes=frozenset({"tmi.issued", "tmi.modified"}),
)
SPLITS = Kind(name="splits", family="splits", key=("config_id",), ends=frozenset({"splits.deactivated"}))
SEQUENCES = Kind(name="sequences", family="aman", key=("airport",), ends=frozenset())
BUILT_IN: tuple[Kind, ...] = (FLIGHTS, TMIS, SPLITS, SEQUENCES)


class InvalidKind(OperatorError):
    """A declared kind that is not valid."""

    def __init__(self, name: str, rule: str) -> None:
        self.name = name
        self.rule = rule
        super().__init__(name, rule)

    def __str__(self) -> str:
        return f"in state.kinds.{self.name}: {self.rule}"


def declare(name: str, family: str, key: Iterable[str], ends: Iterable[str]) -> Kind:
    """Build a kind from the configuration; ``ends``: types with or without their family. Raises InvalidKind."""
    if any(name == kind.name for kind in BUILT_IN):
        raise InvalidKind(name, "is a kind that exists already; take another name")
    if not (name.isascii() and name.isidentifier()) or len(name) > 32:
        raise InvalidKind(name, "must be a name of 1 to 32 letters, digits or _")
    fields = tuple(dict.fromkeys(key))
    if not fields:
        raise InvalidKind(name, "key must name at least one field of the events' data")
    types = frozenset(each if each.startswith(f"{family}.") else f"{family}.{each}" for each in ends)
    return Kind(name=name, family=family, key=fields, ends=types)


def _key_part(value: object) -> int | str | None:
    if type(value) is int or (isinstance(value, str) and value):
        return value
    return None
