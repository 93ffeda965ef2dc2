"""Tables of thousands of rows look like small ones, only faster."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from swimctl.help_style import TextStyle
from swimctl.output import Output
from swimctl.table import MANY_ROWS, Column, fitting, lines, table

PLAIN = TextStyle(attributes=False, colour=False)
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
    assert list(lines(COLUMNS, ROWS, width=width, style=PLAIN)) == expected


@pytest.mark.parametrize("width", [10, 15, 20])
def test_long_table_stays_within_the_terminal(width: int) -> None:
    found = list(lines(COLUMNS, ROWS, width=width, style=PLAIN))
    assert max(map(cell_len, found)) <= width
    assert any("…" in line for line in found)


def test_styles_stand_around_their_texts() -> None:
    found = list(lines(COLUMNS, ROWS[:2], width=80, style=TextStyle(True, True)))
    assert found[2].endswith("\x1b[31mrevoked\x1b[0m")


def test_output_takes_it_from_many_rows_on() -> None:
    stream = io.StringIO()
    Output(stream, is_terminal=True).table(COLUMNS, [{"id": 1}] * MANY_ROWS)
    assert len(stream.getvalue().splitlines()) == MANY_ROWS + 1


def test_without_colour_bold_stays() -> None:
    found = list(lines(COLUMNS, ROWS[:2], width=80, style=TextStyle(attributes=True, colour=False)))
    assert found[0].startswith("\x1b[1mID\x1b[0m")
    assert "\x1b[31m" not in found[2]


IDS = [
    Column("id", "id", is_whole=True),
    Column("owner", "owner", is_flexible=True),
    Column("created", "created", rank=2),
    Column("used", "used", rank=1),
]
ID_ROWS = [{"id": "client_0123456789abcdef", "owner": "o" * 90, "created": "2026-01-16 14:30", "used": "1234567890"}]


@pytest.mark.parametrize(
    ("width", "hidden"), [(120, []), (67, []), (66, ["created"]), (49, ["created"]), (48, ["created", "used"])]
)
def test_columns_that_do_not_fit_are_left_out_and_named_and_ids_stay_whole(width: int, hidden: list[str]) -> None:
    left = fitting(IDS, ID_ROWS, width)[1]
    assert [column.name for column in left] == hidden
    stream = io.StringIO()
    Output(stream, is_terminal=True, width=width).table(IDS, ID_ROWS)
    text = stream.getvalue()
    assert "client_0123456789abcdef" in text
    assert max(map(cell_len, text.splitlines())) <= width
    assert ("no room for: " + ", ".join(hidden) in text) is bool(hidden)
