"""The documents of the control socket: older and newer processes understand each other."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import msgspec
import pytest
from swim_server.daemon.control.documents import connections, diagnostics, explain, process, status
from swim_server.daemon.control.documents.explain import ClauseCount, ClauseDocument, ConsumerDocument
from swim_server.daemon.control.documents.status import KeysDocument, Status
from swim_server.keys.authenticator_status import AuthenticatorStatus
from swim_server.protocol.explanation import Clause
from swim_server.streaming.explain.outcome import Explanation
from swim_server.streaming.explain.tally import ClauseTally

DOCUMENTS = [
    found
    for module in (connections, diagnostics, explain, process, status)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, msgspec.Struct) and found.__module__ == module.__name__
]
STATUS_FIELDS = [
    "pid", "version", "fingerprint", "commit", "python", "url", "home", "config_files", "started_at", "uptime_seconds",
    "connections", "subscription_groups", "events_published", "events_per_second", "deliveries",
    "deliveries_per_second", "refused", "slow_consumers", "sources", "history", "keys", "latency_ms", "loop_lag_ms",
    "memory_bytes", "log",
]  # fmt: skip
"""Scripts depend on them: later ones come behind."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_fields_of_a_newer_process_are_passed_over(document: type[msgspec.Struct]) -> None:
    assert not document.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_each_document_is_read_as_it_was_written(document: type[msgspec.Struct]) -> None:
    required = msgspec.convert(_example(document), document)
    assert msgspec.json.decode(msgspec.json.encode(required), type=document) == required


def _example(type_: Any) -> Any:
    """Make the least that a document takes."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        hints = get_type_hints(type_)
        return {
            field.encode_name: _example(hints[field.name]) for field in msgspec.structs.fields(type_) if field.required
        }
    return {str: "x", int: 1, float: 1.5, bool: True}.get(type_, {} if str(type_).startswith("dict") else [])


def test_fields_of_status_keep_their_order() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(Status)]
    assert names[: len(STATUS_FIELDS)] == STATUS_FIELDS
    written = msgspec.json.decode(msgspec.json.encode(Status(pid=1)))
    assert list(written) == names, "every field is there, also one that holds nothing"


@pytest.mark.parametrize(
    ("document", "told"),
    [(ConsumerDocument, Explanation), (ClauseDocument, Clause), (ClauseCount, ClauseTally)],
    ids=["consumer", "clause", "tally"],
)
def test_what_explain_finds_out_reaches_the_document(
    document: type[msgspec.Struct], told: type[msgspec.Struct]
) -> None:
    assert document.__struct_fields__ == told.__struct_fields__
    assert document.__struct_config__.omit_defaults == told.__struct_config__.omit_defaults


def test_what_the_authenticator_tells_reaches_the_document() -> None:
    assert KeysDocument.__struct_fields__ == (*AuthenticatorStatus.__struct_fields__, "recheck_error")


def test_status_of_an_older_process_is_read() -> None:
    """As the release before the typed documents wrote it."""
    old = {
        "pid": 42, "version": "0.1.0", "fingerprint": "0123456789ab", "url": None, "uptime_seconds": 5.0,
        "connections": {"total": 1, "by_tier": {"public": {"current": 1, "limit": 5}}}, "refused": {"limit": 2},
        "sources": [{
            "name": "feed", "kind": "vatsim", "state": "running", "events": 3, "last_event_age_seconds": 0.5,
            "last_success_age_seconds": 0.5, "errors": 0, "last_error": None, "details": {"feed_age_seconds": 15.0},
        }],
        "latency_ms": None, "loop_lag_ms": {"p50": 0.1, "p99": 0.4, "max": 2.0}, "field_of_next_year": [1],
    }  # fmt: skip
    document = msgspec.convert(old, Status)
    assert (document.supervisor, document.program, document.arguments) == (None, None, [])
    assert (document.sources[0].rejected, document.sources[0].feed_age_seconds) == (0, None)
    assert document.connections.by_tier["public"].limit == 5
