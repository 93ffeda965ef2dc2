"""Answers about keys: what is known of each, never the key itself."""

from __future__ import annotations

import msgspec

from swim_server.keys.records import KeyRecord


class ListedKeys(msgspec.Struct, kw_only=True):
    """The answer to ``keys``."""

    is_same_database: bool = False
    """False: the caller uses another database, and must read that itself."""
    keys: list[KeyRecord] = []
    live: dict[str, int] = {}
    """How many connections each key has at the moment, by its id."""
