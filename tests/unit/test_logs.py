"""A log line: readable, a single line, fast."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from swim_server import logs
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


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """What is logged, from a log configured for this test alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET_LOGGERS}
    written = io.StringIO()
    configured = structlog.get_config()
    logs.configure("info", "text", written)
    yield written
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_line_has_the_time_in_utc_and_stays_one_line(out: io.StringIO) -> None:
    before = datetime.now(UTC)
    logs.get_logger("test").info("happened", agent="two\nlines")
    stamp, _, rest = out.getvalue().partition(" ")
    assert rest == "[info     ] happened component=test agent=two\\nlines\n"
    assert stamp.endswith("Z")
    assert before <= datetime.fromisoformat(stamp) <= datetime.now(UTC)


def test_traceback_of_an_error_is_logged(out: io.StringIO) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        logs.get_logger("test").exception("failed")
    assert "[error    ] failed component=test\nTraceback" in out.getvalue()
    assert out.getvalue().rstrip().endswith("ValueError: odd")
