"""The Markdown table of client libraries: what each shows at each code, its limit, its patience while busy."""

from __future__ import annotations

from collections.abc import Mapping

from support.client_libraries.catalogue import ClientLibrary
from support.client_libraries.trials import Ending, Findings

ENDINGS = ("1000", "1009", "1012", "1013", "4001", "4002", "4008", "cut")
"""The columns of codes: what the service sent; ``cut`` is a line that broke without one."""
WITH_REASON = {"1012"}
HEADER = ["library", "version", "compressed", "largest message", "busy for long", *ENDINGS]


def rows(findings: Mapping[ClientLibrary, Findings]) -> list[list[str]]:
    """One row a library, in cells."""
    return [_row(library, found) for library, found in findings.items()]


def markdown(findings: Mapping[ClientLibrary, Findings]) -> str:
    """The whole table."""
    lines = [HEADER, ["---"] * len(HEADER), *rows(findings)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def shown(trial: str, ending: Ending | None) -> str:
    """What a library showed, in a cell: the code, `none`, or an error in place of both."""
    if ending is None:
        return "not tried"
    if not ending.is_shown and ending.close is None and not ending.errors:
        return "nothing"
    code = "none" if ending.close is None else str(ending.close)
    if ending.close is not None and str(ending.close) == trial:
        is_silent = trial in WITH_REASON and not ending.reason
        return f"{code}, no reason" if is_silent else code
    if ending.close is None and ending.errors:
        return "an error"
    return code


def _row(library: ClientLibrary, found: Findings) -> list[str]:
    busy = "stays" if found.stays_while_busy else shown("4008", found.endings.get("busy"))
    name = f"{library.name}, handler awaits" if library.mode == "await" else library.name
    compressed = {True: "yes", False: "no", None: "can't connect"}[found.is_compressed]
    limit = "any of ours" if found.limit_bytes is None else f"{found.limit_bytes:,}"
    endings = [shown(trial, found.endings.get(trial)) for trial in ENDINGS]
    return [f"{name} ({library.language})", library.version(), compressed, limit, busy, *endings]
