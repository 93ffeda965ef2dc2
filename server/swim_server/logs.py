"""Logging: structlog, as text for people or JSON for machines. No key ever reaches a log: nothing here is given one."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal, Protocol

import structlog

QUIET_LOGGERS = ("websockets", "watchfiles", "asyncio", "aiohttp", "sqlalchemy", "alembic")
"""Libraries that log only from WARNING on: at DEBUG ``websockets`` would log requests, which may contain keys."""


_RUNS_TOGETHER = re.compile("""[ \t='"]""")


class Logger(Protocol):
    """A logger of structlog, as far as it is used: an event's text, and its fields by name."""

    def bind(self, **fields: object) -> Logger:
        """Return a logger that adds these fields to each line."""

    def debug(self, event: str, **fields: object) -> object:
        """Log what helps a developer."""

    def info(self, event: str, **fields: object) -> object:
        """Log what an operator may want to know."""

    def warning(self, event: str, **fields: object) -> object:
        """Log what an operator should look into."""

    def error(self, event: str, **fields: object) -> object:
        """Log what an operator must act on."""

    def exception(self, event: str, **fields: object) -> object:
        """Log an error with the traceback of the exception being handled."""


class Stream(Protocol):
    """The destination of a log: the part of a text stream that is needed."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


# A command configures no log: what is logged must not mix with its standard output.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["text", "json"],
    stream: Stream | None = None,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Send this process's log, and what libraries log through ``logging``, to one stream (standard error).

    ``fields``: added to each line.
    """
    out: Any = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        _one_line,
        structlog.stdlib.add_log_level,
        _Stamper(),
        *([] if fields is None else [_adder(fields)]),
    ]
    renderer: Any = plain_line
    if format == "json":
        renderer = structlog.processors.JSONRenderer()
    elif out.isatty():
        renderer = structlog.dev.ConsoleRenderer(pad_event_to=0, sort_keys=False)
    structlog.configure(
        processors=[*shared, *_traceback(format), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_traceback(format), renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def plain_line(logger: Any, method: str, entry: MutableMapping[str, Any]) -> str:
    """Render an entry like ConsoleRenderer without colours, ten times faster: every connection logs lines."""
    head = f"{entry.pop('timestamp', '')} [{entry.pop('level', method):<9}] {entry.pop('event', '')}"
    exception = entry.pop("exception", None)
    line = " ".join([head, *[f"{name}={_shown(value)}" for name, value in entry.items()]])
    return line if exception is None else f"{line}\n{exception}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) and value and _RUNS_TOGETHER.search(value) is None else repr(value)


class _Stamper:
    """Adds the time, RFC 3339 in UTC with microseconds; formats each second once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, logger: Any, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        entry["timestamp"] = f"{self._text}.{nanoseconds // 1000:06d}Z"
        return entry


def _adder(fields: Mapping[str, object]) -> Callable[..., MutableMapping[str, Any]]:
    def add(logger: Any, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        entry.update(fields)
        return entry

    return add


def _one_line(logger: Any, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters, so that a peer can't forge a line of the log."""
    for name, value in entry.items():
        if isinstance(value, str) and not value.isprintable() and name != "exception":
            entry[name] = value.encode("unicode_escape").decode("ascii")
    return entry


def _traceback(format: str) -> list[Any]:
    if format != "json":
        return [structlog.processors.format_exc_info]
    # Without local variables: one of them may be a key.
    return [structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))]


def get_logger(name: str) -> Logger:
    """Return a logger whose lines carry the name of their component."""
    logger: Logger = structlog.get_logger(component=name)
    return logger
