"""The operator's token: created at the first start, readable by the operator only, read by Prometheus from its file."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.files.replacing import replace_durably

if TYPE_CHECKING:
    from swim_server.logs import Logger

TOKEN_BYTES = 32


def read_or_make_token(path: Path, log: Logger) -> str | None:
    """Return the token; None if it can be neither read nor created."""
    try:
        found = path.read_text("ascii").strip()
    except FileNotFoundError:
        found = ""
    except (OSError, UnicodeDecodeError) as error:
        log.warning("the operator's token can't be read", path=str(path), reason=str(error))
        return None
    if len(found) >= TOKEN_BYTES:
        return found
    token = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        replace_durably(path, f"{token}\n".encode())
    except OSError as error:
        log.warning("the operator's token can't be made", path=str(path), reason=str(error))
        return None
    return token
