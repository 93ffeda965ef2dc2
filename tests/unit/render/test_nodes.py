"""The nodes that share a server, as a person reads them in terminals of any width."""

from __future__ import annotations

import io
from typing import Any

import pytest
from swim_server.daemon.control.documents.nodes import EngineDocument, NodeDocument, Nodes, SourceLeaseDocument

from swimctl.output import Output
from swimctl.render.nodes import COLUMNS, PLAIN, rows, summary


def node(name: str, **fields: Any) -> NodeDocument:
    values: dict[str, Any] = {
        "version": "1.4.0", "fingerprint": "bfa1624e1433", "connections": 1203, "lag_events": 0,
        "url": "ws://10.0.0.1:8090/api/swim/v1/ws",
    }  # fmt: skip
    return NodeDocument(name=name, **(values | fields))


NODES = [
    node("swim-1", is_here=True, sources=["vatsim"], clock_offset_ms=2),
    node("swim-2", state="silent", age_seconds=5.2, lag_events=12, lag_ms=340),
    node("swim-3", state="gone", age_seconds=4210.0, lag_events=1000, lag_ms=95_000),
]


def written(width: int, *, is_terminal: bool = True) -> list[str]:
    stream = io.StringIO()
    columns = COLUMNS if is_terminal else PLAIN
    Output(stream, is_terminal=is_terminal, width=width).table(columns, rows(NODES))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (60, "NODE STATE CONNECTIONS LAG SOURCES"),
        (80, "NODE STATE VERSION CONNECTIONS LAG CLOCK SOURCES"),
        (140, "NODE STATE VERSION FINGERPRINT CONNECTIONS LAG CLOCK SOURCES ADDRESS"),
    ],
)
def test_narrow_terminals_show_what_matters_most_and_say_what_is_left_out(width: int, headings: str) -> None:
    lines = written(width)
    assert lines[0].split() == headings.split()
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1:4]] == ["swim-1", "swim-2", "swim-3"]
    assert ("address" in lines[-1]) == (width < 140)
    assert "12 / 340 ms" in lines[2]
    assert "1,000+ / 95,000 ms" in lines[3]


def test_a_person_sees_which_node_was_asked() -> None:
    assert [line.split("  ")[0] for line in written(80)[1:4]] == ["swim-1 *", "swim-2", "swim-3"]


def test_scripts_get_every_column_and_the_names_as_they_are() -> None:
    first = written(60, is_terminal=False)[0].split("\t")
    assert (first[0], first[1], len(first)) == ("swim-1", "alive", len(PLAIN))


def test_what_is_wrong_with_which_node_is_said_below_the_table() -> None:
    found = Nodes(
        is_shared=True,
        nodes=[*NODES, node("a", trouble="NOPERM"), node("b", has_namesake=True), node("c", clock_offset_ms=-183_000)],
        connections={"public": 1500},
        leases=[SourceLeaseDocument(name="vatsim", holder="swim-1"), SourceLeaseDocument(name="adl")],
        engine=EngineDocument(address="redis://10.0.0.5:6379", version="7.0.15", appendonly="yes"),
    )
    assert list(summary(found)) == [
        "swim-2: nothing heard for 5 s",
        "swim-3: nothing heard for 1h 10m; what it held is free",
        "a: NOPERM",
        "b: two processes report under this name",
        "c: its clock is -183,000 ms from the server's",
        "connections of all nodes: public 1,500",
        "source vatsim: runs on swim-1",
        "source adl: nobody runs it",
        "server redis://10.0.0.5:6379, 7.0.15: appendonly yes, appendfsync unknown",
    ]
