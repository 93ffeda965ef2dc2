"""The Python SDK under the control of the conformance runner: commands in, reports out, no expectations.

With the argument ``sync`` it is the client for synchronous code, whose ``connect`` returns while the stream continues.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import swim_client
from swim_client import AuthenticationError, ConnectionLost, ProtocolError, RequestRefused, SWIMClient, sync

NOTICES = (
    "connected", "disconnected", "reconnected", "gap", "error", "subscribed", "unsubscribed", "pong", "status",
)  # fmt: skip
CAN = (
    "block", "raise", "resume_file", "publish", "http_status", "history", "key_header", "status", "recovered",
    "max_message_bytes", "close_1012", "state", "addresses",
)  # fmt: skip

IS_SYNC = sys.argv[1:] == ["sync"]

_writing = threading.Lock()


def report(**fields: Any) -> None:
    """Write one line."""
    line = json.dumps(fields)
    with _writing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Subject:
    """One client under test."""

    def __init__(self, name: str, command: dict[str, Any]) -> None:
        self.name = name
        self.rules: list[dict[str, Any]] = []
        options = command["options"]
        settings: dict[str, Any] = {}
        for wire, own in (
            ("reconnect_ms", "reconnect_interval"),
            ("max_reconnect_ms", "max_reconnect_interval"),
            ("ping_ms", "ping_interval"),
            ("ping_timeout_ms", "ping_timeout"),
            ("open_timeout_ms", "open_timeout"),
        ):
            if wire in options:
                settings[own] = options[wire] / 1000
        for same in ("reconnect", "resume", "resume_file", "max_message_bytes"):
            if same in options:
                settings[same] = options[same]
        self.client = (sync.SWIMClient if IS_SYNC else SWIMClient)(command["key"], command["url"], **settings)
        self.client.add_handler("*", self.take)
        for notice in NOTICES:
            self.client.add_handler(notice, self.take)
        self.client.flights.on_change(
            lambda what, flight: self.report(saw="flight", what=what, callsign=flight.get("callsign"))
        )

    def take(self, event: Any, timestamp: str) -> None:
        """Report one event or notice, then carry out what was requested for this moment."""
        if "." in event.type:
            self.report(saw="event", type=event.type, id=event.id, data=dict(event))
        else:
            self.report(**{**event, "saw": event.type})
        kind = "event" if "." in event.type else event.type
        for rule in list(self.rules):
            if rule["on"] == kind and ("n" not in rule or rule["n"] == event.get("n")):
                if not rule.get("every"):
                    self.rules.remove(rule)
                self.do({**rule, "do": rule["then"]})

    def do(self, command: dict[str, Any]) -> None:
        """Carry out one command, possibly from within a handler."""
        what = command["do"]
        if what == "connect":
            threading.Thread(target=self.run, daemon=True).start()
        elif what == "disconnect":
            self.client.stop()
        elif what == "subscribe":
            history = {name: command[name] for name in ("after", "since", "last") if name in command}
            state = bool(command.get("state"))
            answer = self.client.subscribe(command["channels"], filters=command.get("filters"), state=state, **history)
            answer.add_done_callback(lambda answer: self.answered("subscribe", answer))
        elif what == "unsubscribe":
            self.client.unsubscribe(command.get("channels"))
        elif what in ("ping", "status"):
            getattr(self.client, what)().add_done_callback(lambda answer: self.answered(what, answer))
        elif what == "publish":
            answer = self.client.publish(command["channel"], command["data"])
            answer.add_done_callback(lambda answer: self.answered("publish", answer))
        elif what == "flights":
            as_of, flights = self.client.flights.snapshot()
            rows = sorted(flights, key=lambda flight: str(flight.get("callsign")))
            self.report(saw="flights", as_of=as_of, is_complete=self.client.flights.is_complete, flights=rows)
        elif what == "when":
            self.rules.append(command)
        elif what == "block":
            time.sleep(command["ms"] / 1000)
            self.report(saw="unblocked")
        elif what == "raise":
            raise ValueError("raised by the handler, as it was told")
        else:
            raise ValueError(f"unknown command {what!r}")

    def answered(self, to: str, answer: Any) -> None:
        """Report the outcome of a request."""
        error = answer.error()
        code = error.code if isinstance(error, RequestRefused) else None
        self.report(saw="answer", to=to, ok=error is None, code=code)

    def run(self) -> None:
        """Run the client until it ends, and report why it ended."""
        why, message = "stopped", ""
        try:
            if not isinstance(self.client, sync.SWIMClient) or self.client.connect():
                self.client.run()
        except AuthenticationError as error:
            why, message = "auth", str(error)
        except ProtocolError as error:
            why, message = "protocol", str(error)
        except RequestRefused as error:
            why, message = "refused", str(error)
        except ConnectionLost as error:
            why, message = "lost", str(error)
        except RuntimeError as error:
            why, message = "busy", str(error)
        self.report(saw="ended", why=why, message=message)

    def report(self, **fields: Any) -> None:
        """Write one report about this client."""
        report(client=self.name, **fields)


def main() -> None:
    """Read commands until standard input ends."""
    subjects: dict[str, Subject] = {}
    report(saw="ready", name="python-sync" if IS_SYNC else "python", version=swim_client.__version__, can=CAN)
    for line in sys.stdin:
        command = json.loads(line)
        name = command["client"]
        if command["do"] == "create":
            subjects[name] = Subject(name, command)
        else:
            subjects[name].do(command)


if __name__ == "__main__":
    main()
