"""Events that a checker publishes after all others: once they have arrived, everything has."""

from __future__ import annotations

from support.disk import home_files
from support.disk.forked_daemon import ForkedDaemon
from support.disk.ledger import content

PROBES = {"probe-event-file", "probe-drop-folder", "probe-control"}


def put_probes(daemon: ForkedDaemon, tag: str = "") -> None:
    """Put one event after all others into each source."""
    row = event_row(f"probe-event-file{tag}", "flight.deleted") | {"_received_at": "2026-01-16T14:30:15Z"}
    home_files.append_to_event_file(daemon.root, [row], _nothing)
    row = event_row(f"probe-drop-folder{tag}", "flight.arrived")
    home_files.put_in_drop_folder(daemon.root, f"zzzz-probe{tag}", [row], _nothing)


def event_row(name: str, event_type: str = "flight.departed") -> dict[str, object]:
    """Return an event of this name as publishers write it."""
    return {"type": event_type, "data": content(name)}


def _nothing(_: object) -> None:
    """Do nothing: the checker's own files need no sync."""
