"""Reads an upgrade request: its path, its key, and where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from swim_server.gateway.upgrade import RequestHeaders
from swim_server.keys.format import KEY_PREFIX

PATHS = frozenset({"/", "/api/swim/v1/ws", "/ws/swim/v1"})
DEFAULT_PATH = "/api/swim/v1/ws"
QUERY_NAMES = ("api_key", "apiKey", "key")
HEADER_NAMES = ("X-SWIM-API-Key", "X-API-Key")
MAX_QUERY_FIELDS = 50


def is_known_path(target: str) -> bool:
    """Tell whether a request target is the service's path, with or without a trailing slash."""
    if target in PATHS:
        return True
    if target.startswith("//"):  # urlsplit would take what follows for a host
        return False
    try:
        path = urlsplit(target).path
    except ValueError:
        return False
    return (path.rstrip("/") or "/") in PATHS


class Credential(NamedTuple):
    """An API key in a request, and where in the request it is."""

    api_key: str
    place: str


NO_CREDENTIAL = Credential("", "")


def presented_key(target: str, headers: RequestHeaders) -> Credential:
    """Return the API key of a request: of several, the first in the protocol's order that looks like one of ours.

    A proxy may have put a token of its own into a header, so one that does not look like ours is taken only if there is
    no other.
    """
    candidates = list(_candidates(target, headers))
    ours = (each for each in candidates if each.api_key.startswith(KEY_PREFIX))
    return next(ours, candidates[0] if candidates else NO_CREDENTIAL)


def query_value(target: str, name: str) -> str | None:
    """Return the first value of a query parameter, if there is one."""
    return next(iter(_query(target).get(name, ())), None)


def _query(target: str) -> dict[str, list[str]]:
    text = target.partition("?")[2]
    if not text:
        return {}
    try:
        return parse_qs(text, keep_blank_values=False, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        return {}


def _candidates(target: str, headers: RequestHeaders) -> Iterator[Credential]:
    query = _query(target)
    for name in QUERY_NAMES:
        yield from (Credential(value, f"the query parameter {name}") for value in query.get(name, ())[:1])
    for value in headers.get_all("Authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            yield Credential(token.strip(), "the header Authorization")
    for name in HEADER_NAMES:
        yield from (Credential(value, f"the header {name}") for value in headers.get_all(name)[:1] if value)
