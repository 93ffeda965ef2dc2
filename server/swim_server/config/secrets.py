"""Hides what must not be shown or logged: passwords, also those inside URLs and connection strings."""

from __future__ import annotations

import re
from typing import Any

from swim_server.config.places import places

HIDDEN = "***"
_URL_PASSWORD = re.compile(r"(://[^/@:]*:)(.*)(@)", re.DOTALL)
_URL_QUERY_SECRET = re.compile(r"((?:pwd|password|odbc_connect|access_?token)=)[^&]*", re.IGNORECASE)
_ODBC_SECRET = re.compile(r"((?:pwd|password|access_?token)\s*=\s*)(\{(?:[^}]|\}\})*\}?|[^;]*)", re.IGNORECASE)


def without_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """A copy of a configuration's plain values that may be shown: passwords in it are ``***``."""
    copied: dict[str, Any] = _copy(values)
    for _, rule, holder, key in places(copied):
        if rule in ("database_url", "tables_database_url"):
            hidden = _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}\g<3>", holder[key])
            holder[key] = _URL_QUERY_SECRET.sub(rf"\g<1>{HIDDEN}", hidden)
        elif rule == "secret":
            holder[key] = HIDDEN
        elif rule == "odbc":
            holder[key] = _ODBC_SECRET.sub(rf"\g<1>{HIDDEN}", holder[key])
    return copied


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
