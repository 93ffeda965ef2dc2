"""Query parameters: filters, formats and places in history, named as in the ``subscribe`` action. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from swim_server.gateway.http.errors import HttpError, bad_request
from swim_server.gateway.request import QUERY_NAMES
from swim_server.protocol import actions
from swim_server.protocol.codes import show
from swim_server.protocol.filter_values import KINDS
from swim_server.protocol.filters import EMPTY, Filters, merge

LISTS = ("airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase")
FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "geojson": "application/geo+json",
    "csv": "text/csv",
}
_EDGES = ("north", "south", "east", "west")


class Query(Protocol):
    """A request's query parameters, each of which may be repeated."""

    def getall(self, key: str, default: list[str]) -> list[str]: ...

    def keys(self) -> Collection[str]: ...


def check_names(query: Query, known: Collection[str]) -> None:
    """Refuse unknown parameters, naming the most similar one. Those that hold a key are ignored."""
    for name in query.keys():  # noqa: SIM118  # a protocol of its own
        if name not in known and name not in QUERY_NAMES:
            near = get_close_matches(name[:80].lower(), list(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            bad_request(f"unknown query parameter {show(name)}: {hint}", "UNKNOWN_PARAMETER")


def one(query: Query, name: str) -> str | None:
    """Read a parameter that may be given once."""
    values = query.getall(name, [])
    if len(values) > 1:
        bad_request(f"{name}: may appear only once in a query, got {len(values)}")
    return values[0] if values else None


def read_list(query: Query, name: str) -> list[str]:
    """Read a parameter with commas, or one that is repeated."""
    return [part.strip() for value in query.getall(name, []) for part in value.split(",") if part.strip()]


def read_filters(query: Query) -> tuple[Filters, dict[str, Any]]:
    """Read the filters, and their form in a ``subscribe``. Raises BadMessage, HttpError."""
    raw: dict[str, Any] = {name: found for name in LISTS if (found := read_list(query, name))}
    for name in ("dep_window_start", "dep_window_end"):
        value = one(query, name)
        if value is not None:
            raw[name] = value
    box = one(query, "bbox")
    if box is not None:
        raw["bbox"] = _read_box(box)
    return merge(EMPTY, raw), raw


def _read_box(text: str) -> dict[str, float]:
    try:
        edges = [float(part) for part in text.split(",")]
    except ValueError:
        edges = []
    if len(edges) != len(_EDGES):
        bad_request(f"bbox: must be NORTH,SOUTH,EAST,WEST in degrees, got {show(text)}", "INVALID_FILTER")
    return dict(zip(_EDGES, edges, strict=True))


def read_epoch(query: Query) -> str | None:
    """Read the order of events that ``after`` is from. Raises BadMessage, HttpError."""
    return actions.read_epoch(one(query, "epoch"))


def read_number(query: Query, name: str, default: int, most: int) -> int:
    """Read a whole number, at least 1."""
    text = one(query, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        bad_request(f"{name}: must be a whole number from 1 to {most}, got {show(text)}")
    return int(text)


def read_format(suffix: str | None, query: Query, accept: str | None, allowed: Collection[str] = tuple(FORMATS)) -> str:
    """Choose the format: by the extension of the path, ``format``, ``Accept``; JSON by default."""
    asked = suffix or one(query, "format")
    if asked is not None:
        if asked not in allowed:
            bad_request(f"format: there are {', '.join(allowed)}, got {show(asked)}", "UNKNOWN_FORMAT")
        return asked
    return _accepted(accept, allowed)


def _accepted(accept: str | None, allowed: Collection[str]) -> str:
    if accept is None or not accept.strip():
        return "json"
    found: list[tuple[float, str]] = []
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((_quality(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
        for name in allowed:
            if media in (FORMATS[name], "*/*", f"{FORMATS[name].partition('/')[0]}/*") and quality > 0:
                found.append((quality, name))
                break
    if not found:
        known = ", ".join(FORMATS[name] for name in allowed)
        raise HttpError(406, "NOT_ACCEPTABLE", f"Accept: the answer can be {known}")
    return max(found, key=lambda each: each[0])[1]


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether the answer may be compressed (RFC 9110, 12.5.3): by name, else by the wildcard."""
    qualities: dict[str, float] = {}
    for part in accept_encoding.split(","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities[coding] = next((_quality(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


FILTER_NAMES = KINDS
