"""Compares what a client reported and sent with what a scenario expects. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swim_conformance.history import id_order
from swim_conformance.patterns import matches

MESSAGES_PER_SECOND = 10
Report = Mapping[str, Any]
"""What an adapter reported: ``saw``, and fields that depend on it."""
Message = Mapping[str, Any]
Entry = Mapping[str, Any]
"""An entry of the server's log: ``what``, ``connection``, ``at``, and fields that depend on ``what``."""
Expect = Mapping[str, Any]
"""A scenario's ``expect``: by check, what it wants."""
Expected = list[Any]
"""What a check wants: patterns, or objects with patterns in them."""


@dataclass(frozen=True)
class Run:
    """The record of one scenario's run."""

    reports: Sequence[Report]
    log: Sequence[Entry]
    """The scripted server's log."""
    ids: Mapping[int, str]
    key: str
    failures: Sequence[str] = ()
    """What the server or the runner waited for in vain."""

    def sent(self, connection: int | None = None) -> list[Message]:
        """Return the client's messages, of one connection or all."""
        return [
            entry["message"]
            for entry in self.log
            if entry["what"] == "received" and connection in (None, entry["connection"])
        ]

    def events(self) -> list[Report]:
        """Return the reported events, without heartbeats."""
        return [one for one in self.reports if one["saw"] == "event" and one.get("type") != "system.heartbeat"]

    def attempts(self) -> list[float]:
        """Return the time of each connection attempt."""
        return [entry["at"] for entry in self.log if entry["what"] == "attempt"]


def number_of(report: Report) -> object:
    """Return the number of a reported event; None if its data has none."""
    data = report.get("data")
    return data.get("n") if isinstance(data, Mapping) else None


def judge(expect: Expect, run: Run) -> list[str]:
    """Return everything that is wrong; an empty list means passed."""
    found = list(run.failures)
    for name, check in _CHECKS.items():
        if name in expect:
            found += check(expect[name], run, expect)
    found += _key_is_secret(run)
    found += _rate(run)
    if not expect.get("repeats"):
        found += _exactly_once(run)
    return found


def _events(wanted: list[int], run: Run, expect: Expect) -> Iterator[str]:
    got = [number_of(one) for one in run.events()]
    if expect.get("any_order"):
        got, wanted = sorted(got, key=str), sorted(wanted, key=str)
    if got != wanted:
        yield f"events: handed over {got}, not {wanted}"


def _saw(wanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    rest = iter(run.reports)
    for pattern in wanted:
        if not any(matches(pattern, report, run.ids) for report in rest):
            yield f"no report {pattern} (in this order); there were: {_short(run.reports)}"
            return


def _never(unwanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    for pattern in unwanted:
        for report in run.reports:
            if matches(pattern, report, run.ids):
                yield f"reported what must not be: {dict(report)}"
                break


def _times(wanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    for pattern, times in wanted:
        count = sum(matches(pattern, report, run.ids) for report in run.reports)
        if count != times:
            yield f"{pattern} was reported {count} times, not {times}"


def _attempts(wanted: Any, run: Run, expect: Expect) -> Iterator[str]:
    count = len(run.attempts())
    least, most = (wanted, wanted) if isinstance(wanted, int) else (wanted.get("min", 0), wanted.get("max", 1000))
    if not least <= count <= most:
        yield f"{count} attempts to connect, not {least if least == most else f'{least} to {most}'}"


def _addresses(wanted: str, run: Run, expect: Expect) -> Iterator[str]:
    ports = [entry["address"] for entry in run.log if entry["what"] == "attempt"]
    letters = {port: chr(ord("a") + number) for number, port in enumerate(dict.fromkeys(ports))}
    found = "".join(letters[port] for port in ports)
    if found != wanted:
        yield f"the attempts went to the addresses {found!r}, not {wanted!r} (a: the first one used, b: the second …)"


def _sent(wanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    for one in wanted:
        sent = run.sent(one.get("connection"))
        lacking = set(one.get("lacks", ()))
        if not any(matches(one["has"], message, run.ids) and not lacking & set(message) for message in sent):
            without = f" without {', '.join(sorted(lacking))}" if lacking else ""
            yield f"connection {one.get('connection', 'any')} never sent {one['has']}{without}; it sent {sent}"


def _never_sent(unwanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    for one in unwanted:
        for message in run.sent(one.get("connection")):
            if matches(one["has"], message, run.ids):
                yield f"sent what must not be: {dict(message)}"


def _pauses(wanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    attempts = run.attempts()
    closed = {entry["connection"]: entry["at"] for entry in run.log if entry["what"] == "closed"}
    # A busy server hears of the end late: the least pause counts from when it sent the client away.
    sent_away = {**closed, **{entry["connection"]: entry["at"] for entry in run.log if entry["what"] == "sent away"}}
    for one in wanted:
        number = one["before"]
        if len(attempts) < number or number - 1 not in closed:
            yield f"there was no attempt {number}"
            continue
        least, most = (attempts[number - 1] - ends[number - 1] for ends in (closed, sent_away))
        if most < one.get("min", 0) or least > one.get("max", 1000):
            yield f"the pause before attempt {number} was {least:.3f} to {most:.3f} s, not {one}"


def _closed(wanted: Expected, run: Run, expect: Expect) -> Iterator[str]:
    for one in wanted:
        found = [entry.get("code") for entry in run.log if entry["what"] == "closed" and matches(one, entry, run.ids)]
        if not found:
            codes = [(entry["connection"], entry.get("code")) for entry in run.log if entry["what"] == "closed"]
            yield f"not closed as expected, {one}; closed were: {codes}"


def _ended(wanted: Any, run: Run, expect: Expect) -> Iterator[str]:
    ends = [one for one in run.reports if one["saw"] == "ended"]
    if not ends or ends[-1].get("why") != wanted:
        yield f"ended with {ends[-1] if ends else 'nothing at all'}, not {wanted!r}"


_CHECKS: dict[str, Callable[[Any, Run, Expect], Iterator[str]]] = {
    "events": _events,
    "saw": _saw,
    "never": _never,
    "times": _times,
    "attempts": _attempts,
    "addresses": _addresses,
    "sent": _sent,
    "never_sent": _never_sent,
    "pauses": _pauses,
    "closed": _closed,
    "ended": _ended,
}


def _key_is_secret(run: Run) -> Iterator[str]:
    if any(run.key in str(report) for report in run.reports):
        yield "the key stands in a report: it must be in no event, error, reason or text"


def _rate(run: Run) -> Iterator[str]:
    times: dict[int, list[float]] = {}
    for entry in run.log:
        if entry["what"] == "received":
            times.setdefault(entry["connection"], []).append(entry["at"])
    for connection, sent in times.items():
        for first, later in zip(sent, sent[MESSAGES_PER_SECOND:], strict=False):
            # The server reads late on a busy machine, and what was sent a second apart may arrive closer together.
            if later - first < 0.5:
                yield f"connection {connection} was sent more than {MESSAGES_PER_SECOND} messages within half a second"
                return


def _exactly_once(run: Run) -> Iterator[str]:
    ids = [one["id"] for one in run.events() if isinstance(one.get("id"), str) and id_order(one["id"]) != (0, 0)]
    if len(ids) != len(set(ids)):
        yield f"an event was handed over twice: {next(each for each in ids if ids.count(each) > 1)}"
    elif ids != sorted(ids, key=id_order):
        yield "events were not handed over in the order of their ids"


def _short(reports: Sequence[Report]) -> str:
    shown = [f"{one['saw']} {one.get('type') or one.get('code') or one.get('why') or ''}".strip() for one in reports]
    return ", ".join(shown[-12:]) or "none"
