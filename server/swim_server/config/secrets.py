"""Hides what must not be shown or logged: passwords, including those inside URLs and connection strings."""

from __future__ import annotations

from typing import Any

from swim_server.config.annotated_values import annotated_values
from swim_server.config.redaction import HIDDEN, odbc_without_secrets, url_without_secrets


def without_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration's plain values with passwords replaced by ``***``."""
    copied: dict[str, Any] = _copy(values)
    for _, rule, holder, key in annotated_values(copied):
        if rule == "secret":
            holder[key] = HIDDEN
        elif rule == "odbc":
            holder[key] = odbc_without_secrets(holder[key])
        elif rule is not None and rule.endswith("_url"):
            holder[key] = url_without_secrets(holder[key])
    return copied


def _copy(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
