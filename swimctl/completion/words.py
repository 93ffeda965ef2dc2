"""Completers for the shell. Quick and silent, and never offering a key: on any error, nothing is offered.

Each function takes the beginning of a word and returns the words that complete it; heavy imports happen inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

TIERS = ("public", "developer", "partner", "system")
KEY_STATES = ("active", "expiring", "expired", "revoked", "all")
SOURCES = ("adl:", "drop:", "ecfmp", "file:", "recording:", "simulator", "vatsim")
SCOPES = ("system", "user")
SHELLS = ("bash", "zsh", "fish")
MAX_OFFERED = 200


def tiers(incomplete: str) -> list[str]:
    """Complete a tier."""
    return _fitting(TIERS, incomplete)


def key_states(incomplete: str) -> list[str]:
    """Complete a state for ``keys list --state``."""
    return _fitting(KEY_STATES, incomplete)


def scopes(incomplete: str) -> list[str]:
    """Complete the scope of a systemd unit."""
    return _fitting(SCOPES, incomplete)


def shells(incomplete: str) -> list[str]:
    """Complete the name of a shell for ``swimctl completion``."""
    return _fitting(SHELLS, incomplete)


def sources(incomplete: str) -> list[str]:
    """Complete a kind of ``--source``."""
    return _fitting(SOURCES, incomplete)


def channels(incomplete: str) -> list[str]:
    """Complete a channel, including those of the configuration."""
    return _offer(lambda: sorted(_catalogue_channels()), incomplete)


def event_types(incomplete: str) -> list[str]:
    """Complete an event type, including those of the configuration."""
    return [name for name in channels(incomplete) if not name.endswith("*")]


def settings(incomplete: str) -> list[str]:
    """Complete the dotted name of a setting."""

    def names() -> Iterable[str]:
        from swimctl.completion.table import SETTINGS

        return SETTINGS

    return _offer(names, incomplete)


def areas(incomplete: str) -> list[str]:
    """Complete an area of doctor's checks, or a check."""

    def names() -> Iterable[str]:
        from swimctl.doctor.catalogue import AREAS

        return AREAS

    return _offer(names, incomplete)


def contexts(incomplete: str) -> list[str]:
    """Complete the name of a context."""

    def names() -> Iterable[str]:
        import os

        from swimctl.contexts import load

        return sorted(load(os.environ).contexts)

    return _offer(names, incomplete)


def key_ids(incomplete: str) -> list[str]:
    """Complete a key's id: the newest of the local database, else those with connections. Never offers a key itself."""
    return _offer(lambda: _stored_key_ids() or _live_key_ids(), incomplete)


def connection_ids(incomplete: str) -> list[str]:
    """Complete the id of a live connection."""
    return _offer(_live_connection_ids, incomplete)


def node_names(incomplete: str) -> list[str]:
    """Complete the name of a node."""
    return _offer(lambda: [one["name"] for one in _ask("nodes")["nodes"]], incomplete)


def _offer(find: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return _fitting(find(), incomplete)
    except Exception:  # noqa: BLE001 - at a prompt nothing may be said: no word fits, that is all
        return []


def _fitting(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)][:MAX_OFFERED]


def _catalogue_channels() -> Iterable[str]:
    if not _has_families_of_its_own():
        from swimctl.completion.table import CHANNELS

        return CHANNELS
    from swim_server.config import ConfigError
    from swim_server.protocol.channels import Catalogue

    from swimctl.invocation import Invocation

    try:
        return Catalogue(Invocation().load_config().config.channels.families).channels
    except ConfigError:
        return Catalogue().channels


def _has_families_of_its_own() -> bool:
    """Return True if the configuration may declare channels, without loading the code that parses it."""
    import os
    import tomllib

    if any(name.startswith("SWIM_CHANNELS") for name in os.environ):
        return True
    for path in _configuration_files():
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - no Path for a press of TAB
                if tomllib.load(file).get("channels", {}).get("families"):
                    return True
        except FileNotFoundError:
            continue
        except (OSError, tomllib.TOMLDecodeError, AttributeError):
            return True  # the full parser knows how to handle it
    return False


def _configuration_files() -> Iterable[str]:
    import os

    names = ("swim.toml", "swim.local.toml")
    if named := os.environ.get("SWIM_CONFIG"):
        return [named, os.path.join(os.path.dirname(named), names[1])]  # noqa: PTH118, PTH120
    from platformdirs import user_config_path

    own = os.environ.get("XDG_CONFIG_HOME")
    folders = ["config", f"{own}/swim" if own else str(user_config_path("swim")), "/etc/swim"]
    return [f"{folder}/{name}" for folder in folders for name in names]


def _stored_key_ids() -> list[str]:
    import os
    import sqlite3
    from contextlib import closing

    from swim_server.daemon.home import Home

    path = Home.default(os.environ).database
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.1)) as database:
        rows = database.execute("SELECT id FROM swim_api_keys ORDER BY id DESC LIMIT ?", (MAX_OFFERED,))
        return [str(key_id) for (key_id,) in rows]


def _live_key_ids() -> list[str]:
    return sorted(_ask("live_keys"), key=int)


def _live_connection_ids() -> list[str]:
    """Return the connection ids, without those of short-lived commands like this one."""
    from swim_server.daemon.control.documents.connections import Connections

    from swimctl.client.answers import read_answer

    found = read_answer("connections", _ask("connections"), Connections).connections
    return [one.id for one in found if one.channels or one.tier != "local"]


def _ask(method: str) -> Any:
    """Ask the daemon, and give up at once if it does not answer."""
    from swimctl.client.control import ControlClient
    from swimctl.invocation import Invocation

    with ControlClient.connect(Invocation().home, timeout=0.0, light=True) as control:
        return control.call(method, timeout=1.0)
