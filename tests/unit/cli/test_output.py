"""The two writers: for people, for pipes, as JSON."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swimctl.errors import WrongUsage
from swimctl.output import Output, confirm
from swimctl.table import Column
from swimctl.text import count, short_timestamp

ROWS: list[dict[str, Any]] = [
    {"id": 1, "owner": "Ada Lovelace", "created": datetime(2026, 1, 16, 14, 30, tzinfo=UTC), "sent": 12_345},
    {"id": 22, "owner": "tab\there\x1b[31m\nnew line", "created": None, "sent": 0},
]
COLUMNS = (
    Column("id", "ID", justify="right"),
    Column("owner", "OWNER"),
    Column("created", "CREATED", show=short_timestamp),
    Column("sent", "SENT", justify="right", show=count, min_width=100),
)


def written(kind: str, width: int = 80, *, as_json: bool = False) -> tuple[Output, io.StringIO]:
    stream = io.StringIO()
    return Output(stream, as_json=as_json, is_terminal=kind == "terminal", width=width), stream


def test_table_in_a_pipe_is_one_row_a_line_with_tabs_and_no_heading() -> None:
    output, stream = written("pipe")
    output.table(COLUMNS, ROWS)
    rows = "1\tAda Lovelace\t2026-01-16T14:30:00Z\t12345\n22\ttab here�[31m new line\t-\t0\n"
    assert stream.getvalue() == rows
    output, stream = written("pipe")
    output.piped_as(header=True, version="v2").table(COLUMNS, ROWS)
    assert stream.getvalue() == "id\towner\tcreated\tsent\n" + rows


def test_table_in_a_pipe_as_in_earlier_releases_has_values_for_people() -> None:
    output, stream = written("pipe")
    output.piped_as(header=False, version="v1").table(COLUMNS, ROWS)
    assert stream.getvalue() == "1\tAda Lovelace\t2026-01-16 14:30\t12,345\n22\ttab here�[31m new line\t-\t0\n"


def test_document_in_a_pipe_has_every_value_by_its_dotted_name() -> None:
    document = {"url": "ws://x", "tiers": {"public": {"limit": 12_345}}, "refused": {}, "missing": [],
                "sources": [{"name": "sim", "at": datetime(2026, 1, 16, 14, 30, tzinfo=UTC)}],
                "channels": ["a", "b"]}  # fmt: skip
    output, stream = written("pipe")
    output.piped_as(header=True, version="v2").details([("url", "for people")], document)
    assert stream.getvalue().splitlines() == [
        "name\tvalue", "url\tws://x", "tiers.public.limit\t12345", "refused\t-", "missing\t-", "sources.sim.name\tsim",
        "sources.sim.at\t2026-01-16T14:30:00Z", "channels\ta, b",
    ]  # fmt: skip
    output, stream = written("pipe")
    output.piped_as(header=False, version="v1").details([("url", "for people")], document)
    assert stream.getvalue() == "url\tfor people\n"


def test_table_on_a_terminal_is_aligned_under_headings() -> None:
    output, stream = written("terminal")
    output.table(COLUMNS, ROWS)
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "ID  OWNER                   CREATED",
        " 1  Ada Lovelace            2026-01-16 14:30",
        "22  tab here�[31m new line  -",
        "… no room for: sent",
    ]


def test_table_on_a_wide_terminal_has_more_columns() -> None:
    output, stream = written("terminal", 100)
    output.table(COLUMNS, ROWS)
    assert "SENT" in stream.getvalue()
    assert "12,345" in stream.getvalue()


def test_table_on_a_narrow_terminal_cuts_cells_and_never_wraps() -> None:
    output, stream = written("terminal", 30)
    output.table(COLUMNS, ROWS)
    lines = stream.getvalue().splitlines()
    assert (len(lines), lines[-1]) == (4, "… no room for: sent")
    assert all(len(line) <= 30 for line in lines)


def test_table_without_rows_says_so_to_people_only() -> None:
    for kind, told in (("terminal", "no keys\n"), ("pipe", "")):
        output, stream = written(kind)
        output.table(COLUMNS, [], empty="no keys")
        assert stream.getvalue() == told


def test_table_as_json_is_one_document_with_whole_values() -> None:
    output, stream = written("pipe", as_json=True)
    output.table(COLUMNS, ROWS)
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())[0] == {
        "id": 1, "owner": "Ada Lovelace", "created": "2026-01-16T14:30:00Z", "sent": 12_345,
    }  # fmt: skip


def test_details_know_people_pipes_and_json() -> None:
    pairs = [("url", "ws://x"), ("up time", 3.0), ("owner", None)]
    expected = {
        "terminal": "url      ws://x\nup time  3\nowner    -",
        "pipe": "url\tws://x\nup_time\t3\nowner\t-",
        "json": '{"url": "ws://x", "up_time": 3.0, "owner": null}',
    }
    for kind, text in expected.items():
        output, stream = written(kind, as_json=kind == "json")
        output.details(pairs)
        assert "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) == text


def test_text_of_a_peer_is_never_read_as_markup() -> None:
    output, stream = written("terminal")
    output.table([Column("owner", "OWNER")], [{"owner": "[red]x[/red] [link=http://evil]y :boom:"}])
    assert "[red]x[/red] [link=http://evil]y :boom:" in stream.getvalue()


@pytest.mark.parametrize(("environ", "colour"), [({}, False), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(environ: dict[str, str], colour: bool) -> None:
    assert Output.to(io.StringIO(), environ).style.colour is colour


def test_question_without_a_terminal_needs_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert confirm("Close it?", yes=True)
    with pytest.raises(WrongUsage) as caught:
        confirm("Close it?", yes=False)
    assert str(caught.value) == "Close it? Can't ask: standard input is not a terminal\nadd --yes to go ahead"


def test_pipe_that_nobody_reads_is_noticed() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stream:
        output = Output(stream)
        output.check_reader()
        os.close(read_end)
        with pytest.raises(BrokenPipeError):
            output.check_reader()


def test_what_is_no_pipe_has_its_reader(tmp_path: Path) -> None:
    Output(io.StringIO()).check_reader()
    with (tmp_path / "file").open("w") as stream:
        Output(stream).check_reader()


def test_json_of_a_peers_text_does_nothing_to_a_terminal() -> None:
    stream = io.StringIO()
    output = Output(stream, as_json=True)
    output.document({"route": "a\x7f\x9b2J\u2028b"})
    output.json_line({"route": "a\x7f\x9b2J\u2028b"})
    assert stream.getvalue().isascii()
    assert "\x7f" not in stream.getvalue()
    assert json.loads(stream.getvalue().splitlines()[0]) == {"route": "a\x7f\x9b2J\u2028b"}
