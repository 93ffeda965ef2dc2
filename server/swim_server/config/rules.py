"""Rules that a type can't express. Each takes the value as written and returns what is wrong with it, or None."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from swim_server.config.durations import InvalidDuration, parse_duration
from swim_server.config.recording_position import InvalidSeek, parse_seek
from swim_server.config.redaction import url_without_secrets

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def _duration(text: str) -> str | None:
    try:
        parse_duration(text)
    except InvalidDuration as error:
        return str(error)
    return None


def _path(text: str) -> str | None:
    return None if text and "\0" not in text else "must name a file or folder"


def _name(text: str) -> str | None:
    if _NAME.fullmatch(text):
        return None
    return f"must be 1 to 64 letters, digits, '.', '_' or '-', got {text[:80]!r}"


def _network(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"must be an address or a network like 10.0.0.0/8, got {text[:80]!r}"
    return None


def _websocket_url(text: str) -> str | None:
    if _host_of(text, ("ws", "wss")):
        return None
    return f"must be a ws:// or wss:// address like wss://swim.example.org/api/swim/v1/ws, got {_shown(text)}"


def _browser_origin(text: str) -> str | None:
    if _host_of(text, ("http", "https")) and not urlsplit(text).path.strip("/"):
        return None
    return f"must be an origin like https://map.example.org, got {text[:120]!r}"


def _database_url(text: str) -> str | None:
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme.partition("+")[0] in ("sqlite", "mssql"):
        return None
    shown = f"one that begins with {scheme}://" if scheme else "something else"
    return f"must be a database URL like sqlite:////var/lib/swim/swim.db or mssql+pyodbc://…, got {shown}"


def _tables_database_url(text: str) -> str | None:
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme.partition("+")[0] in ("sqlite", "mssql", "postgresql"):
        return None
    shown = f"one that begins with {scheme}://" if scheme else "something else"
    return f"must be a database URL like mssql+pyodbc://… or sqlite:////var/lib/adl.db, got {shown}"


def _feed_url(text: str) -> str | None:
    if _host_of(text, ("http", "https")) and text.isprintable() and " " not in text:
        return None
    return f"must be an http:// or https:// address, got {_shown(text)}"


def _sql_name(text: str) -> str | None:
    if text.isprintable() and all(0 < len(part.strip()) <= 128 for part in text.split(".")):
        return None
    return f"must be the name of a table or column like dbo.adl_flight_core, got {text[:120]!r}"


def _secret(text: str) -> str | None:
    return None if text else "must not be empty"


def _odbc(text: str) -> str | None:
    return None if "=" in text else "must be an ODBC connection string like Driver={ODBC Driver 18 for SQL Server};…"


def _seek(text: str) -> str | None:
    try:
        parse_seek(text)
    except InvalidSeek as error:
        return str(error)
    return None


def _broker_url(text: str) -> str | None:
    if text == "local":
        return None
    if _host_of(text, ("redis", "rediss")):
        database = urlsplit(text).path.strip("/")
        if not database or (database.isascii() and database.isdecimal()):
            return None
        return f"must end with the number of a database, like redis://10.0.0.5:6379/0, got {_shown(text)}"
    if text.startswith("unix:///") and text.partition("?")[0] != "unix:///":
        return None
    if text.startswith(("redis+sentinel://", "rediss+sentinel://")):
        problem = _sentinel_problem(text)
        return None if problem is None else f"{problem}, got {_shown(text)}"
    return (
        "must be local, or a server like redis://10.0.0.5:6379/0, unix:///run/redis.sock or "
        f"redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster, got {_shown(text)}"
    )


def _sentinel_problem(url: str) -> str | None:
    """Check ``redis+sentinel://[user:password@]host:port[,host:port]/master[/database]``."""
    place, _, path = url.partition("://")[2].partition("/")
    master, _, database = path.partition("/")
    hosts = place.rpartition("@")[2].split(",")
    if not master or not all(_host_of(f"redis://{host}", ("redis",)) for host in hosts):
        return "must name sentinels and a master, like redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster"
    return None if (database or "0").isdecimal() else "must end with the number of a database after the master"


def _shown(url: str) -> str:
    return repr(url_without_secrets(url)[:120])


def _host_of(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


RULES: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        "duration": _duration,
        "path": _path,
        "name": _name,
        "network": _network,
        "websocket_url": _websocket_url,
        "browser_origin": _browser_origin,
        "database_url": _database_url,
        "tables_database_url": _tables_database_url,
        "feed_url": _feed_url,
        "sql_name": _sql_name,
        "odbc": _odbc,
        "secret": _secret,
        "seek": _seek,
        "broker_url": _broker_url,
    }
)
"""By the name in the annotation in ``settings``."""
