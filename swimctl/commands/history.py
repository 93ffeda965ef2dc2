"""``swimctl history info | check | salvage``: inspect stored events, and salvage them from a damaged file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import command_group
from swimctl.errors import CommandFailed, ExitCode
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swimctl.invocation import Invocation

app = command_group("Inspect stored events: check them, salvage a damaged file.")

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="History file; default: this installation's.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SHOWN = 20
LABELS = {
    "unchecked": "events without a checksum",
    "damage": "damage to the structure",
    "names_are_sound": "producers' event ids are intact",
    "sound": "undamaged",
}


@app.command()
def info(context: typer.Context, file: File = None, as_json: Json = False) -> None:
    """Show what history holds.

    Also shows where events are missing, and which damaged files were set aside.

    \b
    Examples:
      swimctl history info
      swimctl history info --json
    """
    import msgspec
    from swim_server.brokers.broker import BrokerUnavailable
    from swim_server.brokers.recovery.inspection import read_info

    invocation = invocation_of(context)
    try:
        found = read_info(_existing(invocation, file))
    except BrokerUnavailable as error:
        raise CommandFailed(error.reason, "see: swimctl history check") from None
    document = msgspec.to_builtins(found)
    labels = [(name.replace("_", " "), value) for name, value in document.items() if name not in {"holes"}]
    labels += [(f"gap: {hole.reason}", f"after {hole.after}, up to {hole.up_to}") for hole in found.holes[-SHOWN:]]
    invocation.output(as_json=as_json).details(labels, document)


@app.command()
def check(context: typer.Context, file: File = None, as_json: Json = False) -> None:
    """Check a whole history: structure and checksums. Exit code 1 if it is damaged.

    The file may be in use; nothing is changed. The daemon runs the same check after its start and every day, and checks
    whatever it reads.

    \b
    Examples:
      swimctl history check
      swimctl history check history.db.damaged-20260116T143015Z
    """
    import msgspec
    from swim_server.brokers.broker import BrokerUnavailable
    from swim_server.brokers.recovery.inspection import check as check_history

    invocation = invocation_of(context)
    try:
        report = check_history(_existing(invocation, file))
    except BrokerUnavailable as error:
        raise CommandFailed(error.reason, "the disk or its driver has a problem: see dmesg") from None
    document = {**msgspec.to_builtins(report), "sound": report.is_sound}
    labels = [(LABELS.get(name, name), value) for name, value in document.items() if name != "damaged_events"]
    labels += [("damaged event", event_id) for event_id in report.damaged_events[:SHOWN]]
    invocation.output(as_json=as_json).details(labels, document)
    if not report.is_sound:
        messages = invocation.messages()
        messages.line("a running daemon skips what is damaged, and tells its clients")
        messages.line("recover what can still be read: swimctl history salvage")
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def salvage(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="DAMAGED", help="The damaged file; it is not changed.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="The new file; must not exist.")],
    as_json: Json = False,
) -> None:
    """Recover what can be read of a damaged history to a new file.

    Reports where events may be missing.

    \b
    Examples:
      swimctl history salvage damaged.db --output salvaged.db
    """
    import msgspec
    from swim_server.brokers.broker import BrokerUnavailable
    from swim_server.brokers.recovery.inspection import salvage_into

    invocation = invocation_of(context)
    _existing(invocation, file)
    if output.exists() or output.is_symlink():
        raise CommandFailed(f"{output} already exists", "name a file that doesn't exist yet")
    try:
        events, holes = salvage_into(file, output, time.time_ns() // 1_000_000)
    except BrokerUnavailable as error:
        raise CommandFailed(error.reason) from None
    document = {"output": str(output), "events": events, "gaps": msgspec.to_builtins(holes)}
    labels = [("output", str(output)), ("events", events), ("gaps", len(holes))]
    labels += [(f"gap: {hole.reason}", f"after {hole.after}, up to {hole.up_to}") for hole in holes[-SHOWN:]]
    invocation.output(as_json=as_json).details(labels, document)


def _existing(invocation: Invocation, file: Path | None) -> Path:
    path = invocation.home.history if file is None else file
    if not path.is_file():
        raise CommandFailed(f"there is no history at {path}", "name a file, or set SWIM_HOME")
    return path
