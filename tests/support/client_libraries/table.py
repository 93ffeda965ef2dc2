"""The table of client libraries in PROTOCOL.md: what each shows for each code, its limit, its pings while busy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from support.client_libraries.catalogue import ClientLibrary
from support.client_libraries.trials import Ending, Findings

PROTOCOL = Path(__file__).parents[3] / "server/PROTOCOL.md"
BEGIN, END = "<!-- client libraries: begin -->\n", "<!-- client libraries: end -->\n"
ENDINGS = ("1000", "1009", "1012", "1013", "4001", "4002", "4008", "cut")
"""The columns of codes: what the service sent; ``cut`` is a line that broke without one."""
COLUMNS = ("library", "version", "compressed", "largest message", "answers pings while busy", *ENDINGS)


def rows(findings: Mapping[ClientLibrary, Findings]) -> list[dict[str, str]]:
    """Return one row per library, its cells by column."""
    return [_row(library, found) for library, found in findings.items()]


def markdown(findings: Mapping[ClientLibrary, Findings]) -> str:
    """Format the whole table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(list(row.values()) for row in rows(findings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def documented() -> dict[str, dict[str, str]]:
    """Read the rows from PROTOCOL.md, by library."""
    table = PROTOCOL.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    found = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()[2:]]
    return {cells[0]: dict(zip(COLUMNS, cells, strict=True)) for cells in found}


def write(findings: Mapping[ClientLibrary, Findings]) -> None:
    """Insert the table into PROTOCOL.md."""
    text = PROTOCOL.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PROTOCOL} has no place for the table"
    PROTOCOL.write_text(f"{before}{begin}{markdown(findings)}{end}{after}", "utf-8")


def shown(code: str, ending: Ending | None) -> str:
    """Format how a library showed the end: a code, ``none``, or an error instead of both."""
    if ending is None:
        return "not tried"
    if not ending.is_shown and ending.close is None and not ending.errors:
        return "nothing"
    if ending.close is None:
        return "an error" if ending.errors else "none"
    is_without_reason = code == "1012" and ending.close == 1012 and not ending.reason
    return f"{ending.close}, no reason" if is_without_reason else str(ending.close)


def _row(library: ClientLibrary, found: Findings) -> dict[str, str]:
    name = f"{library.name}, handler awaits" if library.mode == "await" else library.name
    cells = [
        f"{name} ({library.language})",
        library.version(),
        {True: "yes", False: "no", None: "can't connect"}[found.is_compressed],
        "any of ours" if found.limit_bytes is None else f"{found.limit_bytes:,}",
        "yes" if found.stays_while_busy else "no",
        *(shown(code, found.endings.get(code)) for code in ENDINGS),
    ]
    return dict(zip(COLUMNS, cells, strict=True))
