"""The key database's address, from its configuration. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swim_server.config import DatabaseConfig

DEFAULT_PORT = 1433
_FIELD = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|$)")
_TRUE = {"yes", "true", "1"}


class DatabaseAddress(msgspec.Struct, frozen=True):
    """A server, and how to connect to it."""

    host: str
    port: int
    is_verified: bool
    """The driver verifies the server's certificate."""


def address_of(config: DatabaseConfig) -> DatabaseAddress | None:
    """Return the server's address; None if only the driver knows it: a DSN, a named instance."""
    if config.odbc is not None:
        return _from_odbc(config.odbc)
    if config.url is None:
        return None
    from sqlalchemy.engine import make_url

    url = make_url(config.url)
    if url.query.get("odbc_connect"):
        return _from_odbc(str(url.query["odbc_connect"]))
    if url.get_backend_name() == "sqlite" or not url.host or "\\" in url.host:
        return None
    fields = {name.lower(): str(value) for name, value in url.query.items()}
    return DatabaseAddress(url.host, url.port or DEFAULT_PORT, _is_verified(fields))


def _from_odbc(text: str) -> DatabaseAddress | None:
    fields = {name.lower(): value.strip().strip("{}") for name, value in _FIELD.findall(text)}
    server = fields.get("server") or fields.get("address") or fields.get("addr")
    if not server or "\\" in server:
        return None
    host, _, port = server.removeprefix("tcp:").partition(",")
    number = port or fields.get("port") or str(DEFAULT_PORT)
    if not host or not number.strip().isdigit():
        return None
    return DatabaseAddress(host.strip(), int(number), _is_verified(fields))


def _is_verified(fields: dict[str, str]) -> bool:
    """Return whether the driver verifies certificates: FreeTDS never does; Microsoft's does unless told not to."""
    driver = fields.get("driver", "").lower()
    if "freetds" in driver or "tdsodbc" in driver:
        return False
    if fields.get("encrypt", "yes").lower() in ("no", "optional", "false", "0"):
        return False
    return fields.get("trustservercertificate", "no").lower() not in _TRUE
