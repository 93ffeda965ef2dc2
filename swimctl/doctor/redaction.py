"""Hides what must not leave the machine: known secrets, and anything that looks like one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from swim_server.config.redaction import url_without_secrets

HIDDEN = "***"
SHORTEST_SECRET = 4
"""Shorter ones would hide ordinary words; such a password is still hidden by its context."""
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bswim_(?:pub|dev|par|sys)[a-z]*_[A-Za-z0-9_-]+"), f"swim_{HIDDEN}"),
    (re.compile(r"\bswim_[0-9a-fA-F-]{20,}"), f"swim_{HIDDEN}"),
    (re.compile(r"sha256\$[A-Za-z0-9_-]+"), f"sha256${HIDDEN}"),
    (re.compile(r"((?:Bearer|Basic)\s+)[^\s\"',;]+", re.IGNORECASE), rf"\g<1>{HIDDEN}"),
    (re.compile(r"(://[^/\s@:]*:)[^\s\"']+@"), rf"\g<1>{HIDDEN}@"),
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>\\]+", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>(?:api_?key|(?<![a-z])key|passw(?:or)?d|pwd|secret|token)[\"']?\s*[=:]\s*)"
    r"(?:(?P<quote>[\"'])(?:\\.|(?!(?P=quote)).)*(?P=quote)|\{[^}]*\}|[^\s&;,\"'{\[][^\s&;,\"']*)",
    re.IGNORECASE,
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the known secrets, and anything that looks like a key, a key's digest, or a password."""
    for secret in sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _URL.sub(lambda match: str(url_without_secrets(match[0])), text)
    for shape, hidden in _SHAPES:
        text = shape.sub(hidden, text)
    return _NAMED.sub(_hide_value, text)


def _hide_value(match: re.Match[str]) -> str:
    """Hide the value but keep its quotes, so that JSON stays JSON."""
    quote = match["quote"] or ""
    return f"{match['name']}{quote}{HIDDEN}{quote}"
