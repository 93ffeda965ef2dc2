"""Publishes at a remote service as an ordinary client whose key may publish, with the wire protocol's ``publish``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from swimctl.client.connect import close_refusal, message_refusal
from swimctl.client.session import RpcFailed, SessionLost, decode
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.client.session import Session

REFUSED, UNAVAILABLE = -32602, -32000
BUSY_SECONDS = 1.0
FINAL_CLOSES = frozenset({4001, 4002})


class RemotePublisher:
    """Answers ``publish`` like the control socket, so that ``Publisher`` works with both.

    Sends one event at a time and waits for its acknowledgement, so that progress is always known.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ids: dict[str, str] = {}
        """Ids of the events stored, by ``event_id``: the events before a refused one are requested again."""

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Store the events of a ``publish`` request.

        Raises CommandError; RpcFailed with the index of a refused event.
        """
        assert method == "publish", "nothing else is asked of a distant service"
        if not params["events"] or params["events"][0]["event_id"] not in self._ids:
            self._ids.clear()  # another batch
        return {"published": [self._store(row, index, timeout) for index, row in enumerate(params["events"])]}

    def _store(self, row: Mapping[str, Any], index: int, timeout: float) -> dict[str, Any]:
        if (stored := self._ids.get(row["event_id"])) is not None:
            return {"id": stored, "duplicate": False}
        if row.get("timestamp") is not None:
            reason = "a remote service sets the timestamp itself: leave it out"
            raise RpcFailed("publish", REFUSED, reason, {"index": index})
        message = {"action": "publish", "channel": row["type"], "data": row["data"], "event_id": row["event_id"]}
        deadline = time.monotonic() + timeout
        self._session.send(message)
        while (payload := self._receive(deadline)) is not None:
            answer = decode(payload)
            if answer.get("type") == "publish_ack" and answer.get("event_id") == row["event_id"]:
                if not answer.get("duplicates"):
                    self._ids[row["event_id"]] = answer["id"]
                return {"id": answer["id"], "duplicate": bool(answer.get("duplicates"))}
            if answer.get("type") != "error":
                continue
            if answer.get("code") == "RATE_LIMITED":  # ignored, not stored: send again a second later
                time.sleep(BUSY_SECONDS)
                self._session.send(message)
            elif answer.get("code") == "STORAGE_UNAVAILABLE":
                raise RpcFailed("publish", UNAVAILABLE, str(answer.get("message")))
            elif answer.get("code") in ("INVALID_PUBLISH", "INVALID_CHANNEL", "MESSAGE_TOO_LARGE"):
                raise RpcFailed("publish", REFUSED, str(answer.get("message")), {"index": index})
            else:
                raise message_refusal(answer)
        raise CommandFailed(
            f"the service did not answer within {timeout:g} s", "the event may or may not have been stored"
        )

    def _receive(self, deadline: float) -> bytes | None:
        try:
            return self._session.receive(max(0.0, deadline - time.monotonic()))
        except SessionLost as lost:
            if lost.code in FINAL_CLOSES:
                raise close_refusal(lost.code, lost.reason) from None
            raise

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._session.close()


def to_remote(open_session: Callable[[], Session]) -> Callable[[], RemotePublisher]:
    """Return a function that connects to a remote service to publish there."""
    return lambda: RemotePublisher(open_session())
