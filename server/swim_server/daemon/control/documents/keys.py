"""What the control socket answers about keys: what is known of each, never the key."""

from __future__ import annotations

import msgspec

from swim_server.keys.records import KeyRecord


class ListedKeys(msgspec.Struct, kw_only=True):
    """The answer to ``keys``."""

    is_same_database: bool = False
    """False: the one who asks means another database, and must read it themselves."""
    keys: list[KeyRecord] = []
    live: dict[str, int] = {}
    """How many connections each key holds at the moment, by its id."""
