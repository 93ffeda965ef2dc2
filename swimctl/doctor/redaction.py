"""Hides what must not leave the machine: known secrets, and anything that looks like one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from swim_server.config.redaction import url_without_secrets

HIDDEN = "***"
SHORTEST_SECRET = 4
"""Shorter ones would hide ordinary words; such a password is still hidden by its context."""
# Texts, compiled when they are used: most runs write no facts and no bundle.
_SHAPES = (
    (r"\bswim_(?:pub|dev|par|sys)[a-z]*_[A-Za-z0-9_-]+", f"swim_{HIDDEN}"),
    (r"\bswim_[0-9a-fA-F-]{20,}", f"swim_{HIDDEN}"),
    (r"sha256\$[A-Za-z0-9_-]+", f"sha256${HIDDEN}"),
    (r"(?i)((?:Bearer|Basic)\s+)[^\s\"',;]+", rf"\g<1>{HIDDEN}"),
    (r"(://[^/\s@:]*:)[^\s\"']+@", rf"\g<1>{HIDDEN}@"),
)
_URL = r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"'<>\\]+"
_NAMED = (
    r"(?i)(?P<name>(?:api_?key|(?<![a-z])key|passw(?:or)?d|pwd|secret|token)[\"']?\s*[=:]\s*)"
    r"(?:(?P<quote>[\"'])(?:\\.|(?!(?P=quote)).)*(?P=quote)|\{[^}]*\}|[^\s&;,\"'{\[][^\s&;,\"']*)"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the known secrets, and anything that looks like a key, a key's digest, or a password."""
    for secret in sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = re.sub(_URL, lambda match: str(url_without_secrets(match[0])), text)
    for shape, hidden in _SHAPES:
        text = re.sub(shape, hidden, text)
    return re.sub(_NAMED, _hide_value, text)


def _hide_value(match: re.Match[str]) -> str:
    """Hide the value but keep its quotes, so that JSON stays JSON."""
    quote = match["quote"] or ""
    return f"{match['name']}{quote}{HIDDEN}{quote}"
