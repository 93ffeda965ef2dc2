"""Tables of thousands of rows: the same picture as the small ones, only sooner."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from swimctl.output import Output
from swimctl.table import MANY_ROWS, Column, lines, table

COLUMNS = [
    Column("id", "id", justify="right", style="bold"),
    Column("owner", "owner"),
    Column("state", "state", styles={"revoked": "red"}),
]
ROWS = [
    {"id": number, "owner": "東京 " * (number % 4), "state": ("active", "revoked")[number % 2]} for number in range(30)
]


@pytest.mark.parametrize("width", [80, 40])
def test_long_table_looks_like_the_short_one(width: int) -> None:
    stream = io.StringIO()
    Output(stream, is_terminal=True, width=width).print(table(COLUMNS, ROWS))
    expected = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert list(lines(COLUMNS, ROWS, width=width, colour=False)) == expected


@pytest.mark.parametrize("width", [10, 15, 20])
def test_long_table_stays_within_the_terminal(width: int) -> None:
    found = list(lines(COLUMNS, ROWS, width=width, colour=False))
    assert max(map(cell_len, found)) <= width
    assert any("…" in line for line in found)


def test_styles_stand_around_their_texts() -> None:
    found = list(lines(COLUMNS, ROWS[:2], width=80, colour=True))
    assert found[2].endswith("\x1b[31mrevoked\x1b[0m")


def test_output_takes_it_from_many_rows_on() -> None:
    stream = io.StringIO()
    Output(stream, is_terminal=True).table(COLUMNS, [{"id": 1}] * MANY_ROWS)
    assert len(stream.getvalue().splitlines()) == MANY_ROWS + 1
