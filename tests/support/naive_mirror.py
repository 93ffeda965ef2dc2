"""A client's mirror of the state, written plainly according to PROTOCOL.md."""

from __future__ import annotations

from typing import Any

from support.naive_state import GENERIC, fold_row, key_of_row

FAMILY_KINDS = {"flight": "flights", "tmi": "tmis", "splits": "splits", "aman": "sequences"}


def id_of(text: str) -> tuple[int, int]:
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence)


class NaiveMirror:
    """What one client has: entries by kind and key."""

    def __init__(self, *, has_filters: bool) -> None:
        self.held: dict[str, dict[Any, dict[str, Any]]] = {}
        self.last_id: str | None = None
        """Of the newest event seen; what to resume from."""
        self.states = 0
        """How many whole states have come."""
        self.errors: list[str] = []
        self._has_filters = has_filters
        self._as_of = (0, 0)
        self._staged: dict[str, dict[Any, dict[str, Any]]] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Apply one message from the server."""
        kind = message["type"]
        if kind == "state":
            self._take_part(message)
        elif kind == "state.entered":
            self.held[message["kind"]][self._key(message["kind"], message["data"])] = dict(message["data"])
        elif kind == "state.left":
            self.held[message["kind"]].pop(self._key(message["kind"], message), None)
        elif kind == "error":
            self.errors.append(message["code"])
        elif "id" in message and "data" in message:
            self.last_id = message["id"]
            if id_of(message["id"]) > self._as_of:
                self._fold(kind, message)
        elif kind == "subscribed":
            self._staged = {}  # of a state whose end never came
            self.last_id = self.last_id or message["last_event_id"]

    def _take_part(self, message: dict[str, Any]) -> None:
        name = message["kind"]
        entries = self._staged.setdefault(name, {})
        for row in message["data"][name]:
            assert self._key(name, row) not in entries, "each entry once"
            entries[self._key(name, row)] = row
        if message["is_last"]:
            self.held, self._staged = self._staged, {}
            self._as_of = id_of(message["as_of"])
            self.states += 1

    def _key(self, kind: str, row: dict[str, Any]) -> Any:
        if kind == "flights":
            return key_of_row(row)
        return row[{"tmis": "program_id", "splits": "config_id", "sequences": "airport"}[kind]]

    def _fold(self, kind: str, message: dict[str, Any]) -> None:
        data, timestamp = message["data"], message["timestamp"]
        if kind.startswith("flight."):
            flights = self.held.get("flights", {})
            for row in data.get("positions", []) if kind == "flight.positions" else [data]:
                if not self._has_filters or key_of_row(row) in flights:
                    fold_row(flights, kind, timestamp, row)
        elif kind in GENERIC:
            name, field, is_end = GENERIC[kind]
            key, entries = data.get(field), self.held.get(name, {})
            if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
                return
            if is_end:
                entries.pop(key, None)
            elif key in entries or not self._has_filters:
                first = entries.get(key, {}).get("first_seen_at", timestamp)
                entries[key] = {**entries.get(key, {}), **data, "first_seen_at": first, "updated_at": timestamp}
