"""What the client itself tells its handlers, in the form of the server's messages."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, Optional

from swim_client.resume import EventId


def _notice(kind: str, data: Dict[str, Any]) -> Dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": kind, "timestamp": now, "data": data}


def gap_notice(after: Optional[EventId], reason: str) -> Dict[str, Any]:
    """Events after ``after`` may be missing."""
    return _notice("gap", {"after": None if after is None else str(after), "reason": reason})


def reconnected_notice(recovered: Optional[int], after: Optional[EventId], seconds: float) -> Dict[str, Any]:
    """What could be recovered after a break has been."""
    shown = None if after is None else str(after)
    return _notice("reconnected", {"recovered": recovered, "after": shown, "disconnected_seconds": round(seconds, 3)})


def disconnected_notice(code: int, reason: str, retry_in_seconds: Optional[float]) -> Dict[str, Any]:
    """A connection ended; None for the seconds: there won't be another."""
    return _notice(
        "disconnected",
        {
            "code": code,
            "reason": reason,
            "will_reconnect": retry_in_seconds is not None,
            "retry_in_seconds": None if retry_in_seconds is None else round(retry_in_seconds, 3),
        },
    )
