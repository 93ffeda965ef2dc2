"""A line of the log: readable, one line, quick."""

from __future__ import annotations

from swim_server.logs import plain_line


def line(**entry: object) -> str:
    return plain_line(None, "info", dict(entry))


def test_line_begins_with_time_level_and_event() -> None:
    written = line(timestamp="2026-01-16T14:30:15Z", level="warning", event="keys can't be checked", reason="timeout")
    assert written == "2026-01-16T14:30:15Z [warning  ] keys can't be checked reason=timeout"


def test_values_that_would_run_together_are_quoted() -> None:
    written = line(timestamp="t", level="info", event="e", a="x y", b="a=b", c="", d=None, e=1.5, f='say "no"')
    assert written == "t [info     ] e a='x y' b='a=b' c='' d=None e=1.5 f='say \"no\"'"


def test_traceback_stands_below() -> None:
    assert line(timestamp="t", level="error", event="e", exception="Traceback\n  here").split("\n")[1:] == [
        "Traceback",
        "  here",
    ]
