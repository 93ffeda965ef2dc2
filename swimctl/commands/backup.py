"""``swimctl backup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.errors import CommandFailed
from swimctl.invocation import invocation_of
from swimctl.progress import Progress
from swimctl.text import plural

app = single_command()


@app.command()
def backup(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Archive to write, such as swim.tar.gz.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Overwrite without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Back up keys, history and configuration to one file. The service may be running.

    Each database is copied as of one moment and checked, and the file is written completely or not at all. It contains
    the digests of the keys and any secrets in the configuration, so only its owner can read it (0600).

    \b
    Examples:
      swimctl backup /backup/swim.tar.gz
      swimctl backup --yes /backup/swim-$(date +%u).tar.gz    (from cron)
    """
    import msgspec

    from swimctl.archive.writing import database_file, write_backup
    from swimctl.output import require_yes

    invocation = invocation_of(context)
    loaded, home = invocation.load_config(), invocation.home
    if not file.parent.is_dir():
        raise CommandFailed(f"there is no folder {file.parent}", f"mkdir -p {file.parent}")
    if file.exists():
        require_yes(f"{file} already exists. Overwrite it?", yes=yes)
    output, messages = invocation.output(as_json=as_json), invocation.messages()
    files = [path for path in (database_file(loaded, home), home.history) if path is not None and path.exists()]
    total = sum(path.stat().st_size for path in files)
    with Progress(messages, "copying", total, "bytes") as progress:
        manifest = write_backup(file, home, loaded, progress.set)
    if as_json:
        output.document({"file": str(file.absolute()), **msgspec.to_builtins(manifest)})
        return
    output.line(str(file))
    parts = ", ".join(dict.fromkeys(entry.part for entry in manifest.entries))
    messages.line(f"{parts}: {plural(len(manifest.entries), 'file')}, {file.stat().st_size:,} bytes")
    for each in manifest.left_out:
        messages.line(f"not included: {each}")
