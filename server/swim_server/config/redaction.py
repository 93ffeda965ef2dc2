"""Replaces passwords inside URLs and connection strings by ``***``. Pure.

If it is uncertain how a driver reads a text, more is hidden rather than less.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

HIDDEN = "***"
_URL_PASSWORD = re.compile(r"(://[^/:]*:)(?:.*)(@)", re.DOTALL)
_URL_TOKEN = re.compile(r"(://)[^/?#]*(@)", re.DOTALL)
"""Everything before the host of a web address is secret: it may be just a token."""
_HARMLESS = frozenset(
    # of web addresses
    {"after", "airports", "channels", "client", "format", "lang", "language", "last", "limit", "maxmessagebytes"}
    | {"page", "region", "since", "type", "v", "version"}
    # of databases and drivers
    | {"applicationintent", "applicationname", "authentication", "autocommit", "cache", "charset", "clientencoding"}
    | {"connectiontimeout", "connecttimeout", "db", "driver", "encrypt", "fastexecutemany", "hostnameincertificate"}
    | {"logintimeout", "marsconnection", "mode", "multisubnetfailover", "odbcversion", "port", "protocol", "ssl"}
    | {"sslcertreqs", "sslmode", "tdsversion", "timeout", "trustedconnection", "trustservercertificate", "uri"}
)
"""Query parameters whose value may be shown, in lower case, without separators."""
_ODBC_SECRET = re.compile(r"([\w ]*(?:pwd|password|secret|token)[\w ]*=\s*)", re.IGNORECASE)
_BRACED = re.compile(r"\{(?:[^}]|\}\})*\}\s*(?=;|$)")
"""A value in braces, with closing braces doubled, as Microsoft's driver reads it."""


def url_without_secrets(url: str) -> str:
    """Return a URL that may be shown. User names of databases are kept; what precedes a web address's host isn't."""
    is_web = url.lower().startswith(("http:", "https:", "ws:", "wss:"))
    place, mark, query = url.partition("?")
    if is_web:
        place = _URL_TOKEN.sub(rf"\g<1>{HIDDEN}\g<2>", place)
    elif _URL_PASSWORD.search(url):  # a password may contain anything, even a question mark
        place, mark, query = _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}\g<2>", url).partition("?")
    return place + mark + "&".join(map(_shown_field, query.split("&")))


def odbc_without_secrets(odbc: str) -> str:
    """Return a connection string that may be shown."""
    shown, end = "", 0
    while match := _ODBC_SECRET.search(odbc, end):
        shown += odbc[end : match.end()] + HIDDEN
        end = match.end()
        if odbc.startswith("{", end):
            braced = _BRACED.match(odbc, end)
            end = braced.end() if braced else len(odbc)  # wherever else a driver might end the value
        else:
            end = found if (found := odbc.find(";", end)) >= 0 else len(odbc)
    return shown + odbc[end:]


def text_without_secrets(text: str) -> str:
    """Redact a text in the wrong place, which may have been meant as a URL or connection string."""
    return url_without_secrets(text) if "://" in text else odbc_without_secrets(text)


def _shown_field(field: str) -> str:
    """Redact a query parameter. An unknown name may be that of a secret; without a value it may be the secret."""
    name, mark, _ = field.partition("=")
    if not field or re.sub(r"[\W_]", "", unquote_plus(name)).lower() in _HARMLESS:
        return field
    return f"{name}={HIDDEN}" if mark else HIDDEN
