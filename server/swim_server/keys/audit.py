"""Who did what to which key, when and from where. Never a key."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

LOCAL_ORIGIN = "local"
KEYS_METHOD = "KEYS"
CONNECT_METHOD = "CONNECT"
"""The ``method`` of our lines; the earlier system's REST interface writes GET, POST … there."""


class Actor(msgspec.Struct, frozen=True):
    """Who acts on keys, and from where."""

    name: str
    """``user@host``."""
    origin: str = LOCAL_ORIGIN
    """The address that they work from, if known."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit trail."""

    at: datetime
    action: str
    """``create``, ``expire``, ``revoke``, ``rotate``, ``import``, ``harden``, ``accept``, ``refuse``."""
    key_id: int | None
    actor: str
    origin: str
    detail: str | None = None


def entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """Build the line of a row of ``swim_audit_log``."""
    return AuditEntry(
        at=row["request_time"],
        action=row["endpoint"],
        key_id=row["api_key_id"],
        actor=row["user_agent"] or "",
        origin=row["ip_address"],
        detail=row.get("details"),
    )


def operating_user(environ: Mapping[str, str] = os.environ) -> Actor:
    """Return who runs this process: the system's user, also through sudo, and the address of their terminal."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    sudo_user = environ.get("SUDO_USER")
    name = f"{sudo_user} (sudo {user})" if sudo_user and sudo_user != user else user
    origin = environ.get("SSH_CONNECTION", "").partition(" ")[0] or LOCAL_ORIGIN
    return Actor(f"{name}@{socket.gethostname()}", origin)
