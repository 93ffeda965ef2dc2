"""What everybody knew at one moment of a run: the log's marks up to there. Knows nothing about files."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

EventKey = tuple[int, int]


class KnownKey(msgspec.Struct):
    """An API key as its operator knows it."""

    api_key: str
    is_good: bool
    is_sure: bool = True
    """False while a command about it has begun and not returned."""


class Ledger:
    """Filled mark by mark."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}
        """Name of an event → its id, as its publisher was told."""
        self.seen: dict[str, str] = {}
        """Name → id, as some client was sent it."""
        self.positions: list[str] = []
        """Ids of acknowledged events that retention removes soon."""
        self.given: dict[str, str] = {}
        """Name of an event that a provider has put on the disk → by which way."""
        self.sent: set[str] = set()
        """Names that somebody has begun to publish."""
        self.clients: dict[str, str] = {}
        """Client → the last id it has seen."""
        self.keys: dict[str, KnownKey] = {}
        self.settings: dict[str, str] = {}
        """Settings whose command has returned."""
        self.resume_ids: list[str] = []
        """Ids that the SDK has been told are saved, in order."""

    def take(self, mark: dict[str, Any]) -> None:
        """Add one mark."""
        match mark["kind"]:
            case "sent":
                self.sent.update(mark["names"])
            case "acknowledged":
                self.acknowledged.update(mark["ids"])
            case "seen":
                self.seen.update(mark["ids"])
                self.clients[mark["client"]] = mark["last"]
            case "position":
                self.positions += mark["ids"]
            case "given":
                self.given.update(dict.fromkeys(mark["names"], mark["source"]))
            case "key":
                key = self.keys.setdefault(mark["id"], KnownKey(mark["api_key"], is_good=False))
                key.is_sure, key.is_good = mark["is_sure"], mark["is_good"]
            case "setting":
                self.settings[mark["name"]] = mark["value"]
            case "resume":
                self.resume_ids.append(mark["id"])
            case _:
                pass

    @property
    def known(self) -> dict[str, str]:
        """Every name whose id somebody knows."""
        return self.seen | self.acknowledged


def event_key(event_id: str) -> EventKey:
    """Return an id's sort key."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


def content(name: str) -> dict[str, Any]:
    """Return the data that an event of this name must have."""
    number = zlib.crc32(name.encode())
    return {
        "callsign": name,
        "flight_uid": number,
        "dep": "KJFK",
        "arr": "EGLL",
        "check": f"{number:08x}" * (1 + number % 12),
    }


def is_content(data: dict[str, Any]) -> bool:
    """Return True if an event's data is that of its name, apart from what the service may have added."""
    expected = content(str(data.get("callsign")))
    return all(data.get(name) == value for name, value in expected.items())
