"""Passwords inside URLs and connection strings, replaced by ``***``. Pure.

Where it can't be told for sure how a driver reads a text, more is hidden rather than less.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

HIDDEN = "***"
_URL_PASSWORD = re.compile(r"(://[^/:]*:)(?:.*)(@)", re.DOTALL)
_URL_TOKEN = re.compile(r"(://)[^/?#]*(@)", re.DOTALL)
"""Before the host of a web address everything is a secret: a token may stand there alone."""
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
"""Names of queries whose value may be shown, in lower case, without what separates their words."""
_ODBC_SECRET = re.compile(r"([\w ]*(?:pwd|password|secret|token)[\w ]*=\s*)", re.IGNORECASE)
_BRACED = re.compile(r"\{(?:[^}]|\}\})*\}\s*(?=;|$)")
"""A value in braces, a closing one in it doubled, as Microsoft's driver reads it."""


def url_without_secrets(url: str) -> str:
    """Return a URL that may be shown. User names of databases stay; what stands before a web address's host doesn't."""
    is_web = url.lower().startswith(("http:", "https:", "ws:", "wss:"))
    place, mark, query = url.partition("?")
    if is_web:
        place = _URL_TOKEN.sub(rf"\g<1>{HIDDEN}\g<2>", place)
    elif _URL_PASSWORD.search(url):  # a password may have anything in it, a question mark too
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
            end = braced.end() if braced else len(odbc)  # what else a driver may take for the value, it ends somewhere
        else:
            end = found if (found := odbc.find(";", end)) >= 0 else len(odbc)
    return shown + odbc[end:]


def text_without_secrets(text: str) -> str:
    """Return a text that stands in the wrong place, where it may have been meant for a URL or a connection string."""
    return url_without_secrets(text) if "://" in text else odbc_without_secrets(text)


def _shown_field(field: str) -> str:
    """Show a field of a query. Any name that is not known may be a secret's, and one without a value its very text."""
    name, mark, _ = field.partition("=")
    if not field or re.sub(r"[\W_]", "", unquote_plus(name)).lower() in _HARMLESS:
        return field
    return f"{name}={HIDDEN}" if mark else HIDDEN
