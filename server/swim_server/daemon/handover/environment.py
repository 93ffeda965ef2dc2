"""Compares the settings in the environments of two processes, without revealing a secret to either."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from swim_server.config.redaction import HIDDEN, text_without_secrets

PREFIX = "SWIM_"
OF_CLIENTS = frozenset({"SWIM_API_KEY", "SWIM_URL", "SWIM_CONTEXT", "SWIM_HOME"})
"""Variables that only commands read, or that selected the process being queried."""
_SECRET = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|URL|ODBC", re.IGNORECASE)


def settings_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that configure a daemon."""
    return {name: value for name, value in environ.items() if name.startswith(PREFIX) and name not in OF_CLIENTS}


def digests(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a digest of each of these variables, enough to see that two differ."""
    return {name: hashlib.sha256(value.encode()).hexdigest() for name, value in settings_in(environ).items()}


def differing(environ: Mapping[str, str], theirs: Mapping[str, str], *, is_supervised: bool) -> dict[str, str | None]:
    """Return this process's values of the variables that differ from another's digests, secrets hidden; None: not set.

    A supervised process has an environment that its operators' shells don't have: variables missing there mean nothing.
    """
    ours = settings_in(environ)
    known = digests(environ)
    names = theirs.keys() if is_supervised else theirs.keys() | known.keys()
    return {name: shown(name, ours.get(name)) for name in sorted(names) if known.get(name) != theirs.get(name)}


def shown(name: str, value: str | None) -> str | None:
    """Return a value in a form that may be shown."""
    if value is None:
        return None
    return HIDDEN if _SECRET.search(name) else text_without_secrets(value)
