"""A scripted server's automatic answers: those of the protocol, unless the script overrides them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from swim_conformance.history import TIMESTAMP, History, Message, wants

CLIENT_ID = "client_{number:016x}"


def error(code: str, message: str = "", data: Mapping[str, Any] | None = None) -> Message:
    """Build an ``error`` message."""
    text = message or f"{code} as the script has it"
    return {
        "type": "error",
        "timestamp": TIMESTAMP,
        "code": code,
        "message": text,
        "data": {**(data or {}), "code": code, "message": text},
    }


class Answers:
    """Answers the requests of one connection."""

    def __init__(self, history: History, number: int, *, resumes: bool) -> None:
        self.channels: list[str] = []
        """What this connection is subscribed to."""
        self.published: dict[str, str] = {}
        self._history = history
        self._number = number
        self._resumes = resumes
        self._overrides: dict[str, deque[Mapping[str, Any]]] = {}

    def greeting(self, extra: Mapping[str, Any] | None = None) -> Message:
        """Build the ``connected`` message."""
        data: Message = {
            "client_id": CLIENT_ID.format(number=self._number),
            "server_time": TIMESTAMP,
            "version": "1.0.0",
        }
        if self._resumes:
            data.update(tier="developer", heartbeat_interval=30, resume=True, last_event_id=self._history.newest_id)
            if self._history.epoch is not None:
                data["epoch"] = self._history.epoch
        return {"type": "connected", "timestamp": TIMESTAMP, "data": {**data, **(extra or {})}}

    def override(self, action: str, step: Mapping[str, Any]) -> None:
        """Answer the next request with this action as the step says: ``say``, ``merge`` or ``error``."""
        self._overrides.setdefault(action, deque()).append(step)

    def to(self, request: Message) -> list[Message]:
        """Answer one request: the answer, then the events from history that it asks for."""
        action = str(request.get("action", ""))
        waiting = self._overrides.get(action)
        step: Mapping[str, Any] = {}
        if waiting:
            step = waiting[0] if waiting[0].get("always") else waiting.popleft()
        if "say" in step:
            return list(step["say"])
        if "error" in step:
            return [error(step["error"], step.get("message", ""), step.get("data"))]
        answers = self._own(action, request)
        if "merge" in step and answers:
            answers[0] = {**answers[0], **step["merge"]}
        return answers

    def _own(self, action: str, request: Message) -> list[Message]:
        if action == "subscribe":
            return self._subscribe(request)
        if action == "unsubscribe":
            return [self._unsubscribe(request)]
        if action == "ping":
            return [{"type": "pong", "timestamp": TIMESTAMP}]
        if action == "status":
            subscriptions = {"channels": self.channels, "filters": {}} if self.channels else None
            data = {"client_id": CLIENT_ID.format(number=self._number), "subscriptions": subscriptions}
            return [{"type": "status", "timestamp": TIMESTAMP, "data": data}]
        if action == "publish":
            return [self._publish(request)]
        return [error("UNKNOWN_ACTION", f"no such action: {action}")]

    def _subscribe(self, request: Message) -> list[Message]:
        channels = request.get("channels")
        if not isinstance(channels, list) or not channels:
            return [error("INVALID_SUBSCRIBE", "channels: a list of at least one channel is required")]
        self.channels = list(dict.fromkeys([*self.channels, *channels]))
        answer: Message = {
            "type": "subscribed",
            "timestamp": TIMESTAMP,
            "channels": self.channels,
            "filters": request.get("filters", {}),
        }
        if not self._resumes:
            return [answer]
        gap = self._history.has_gap(request)
        answer.update(last_event_id=self._history.newest_id, resumed="after" in request and not gap, gap=gap)
        if self._history.epoch is not None:
            answer["epoch"] = self._history.epoch
        # Stored events don't tell what crossed the filters meanwhile.
        state = request.get("state")
        sends_state = state is True or (state == "on_gap" and (gap or bool(request.get("filters"))))
        parts = self._history.state() if sends_state else []
        if sends_state:
            answer["state_as_of"] = self._history.newest_id
        missed = [event for event in self._history.missed(request) if wants(channels, event["type"])]
        return [answer, *parts, *map(self._history.shown, missed)]

    def _unsubscribe(self, request: Message) -> Message:
        channels = request.get("channels") or []
        self.channels = [channel for channel in self.channels if channels and channel not in channels]
        return {"type": "unsubscribed", "timestamp": TIMESTAMP, "channels": channels or ["all"]}

    def _publish(self, request: Message) -> Message:
        event_id = str(request.get("event_id", ""))
        is_new = event_id not in self.published
        if is_new:
            data = request.get("data")
            event = self._history.add(str(request.get("channel")), data if isinstance(data, dict) else {})
            self.published[event_id] = event["id"]
        counts = {"accepted": int(is_new), "duplicates": int(not is_new)}
        return {"type": "publish_ack", "event_id": event_id, "id": self.published[event_id], **counts}
