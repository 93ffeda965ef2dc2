"""``swimctl restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.errors import CommandFailed, WrongUsage
from swimctl.invocation import Invocation, invocation_of
from swimctl.progress import Progress
from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.archive.contents import Part
    from swimctl.archive.restoring import Placed, Restored
    from swimctl.output import Output

app = single_command()

PARTS: tuple[Part, ...] = ("keys", "history", "config")


@app.command()
def restore(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Archive written by swimctl backup.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="keys, history or config; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Restore a backup. The service must be stopped, else exit code 4.

    The current files are set aside (*.before-restore-*), never deleted. Keys that were revoked or expired after the
    backup stay revoked or expired. Clients that have received events missing from the restored history are told of the
    gap. The configuration is restored to its former place, or to --config FILE.

    \b
    Examples:
      swimctl stop && swimctl restore swim.tar.gz && swimctl serve --detach
      swimctl restore /backup/swim.tar.gz --only keys
    """
    import msgspec

    from swimctl.archive.restoring import restore as bring_back

    parts: list[Part] = [part for part in PARTS if only is None or part in only]
    if unknown := set(only or ()) - set(PARTS):
        raise WrongUsage(f"--only: must be {', '.join(PARTS)}, got {sorted(unknown)[0]!r}")
    invocation = invocation_of(context)
    output, messages = invocation.output(as_json=as_json), invocation.messages()
    places = _agreed_places(invocation, file, parts, yes=yes)
    with Progress(messages, "restoring", sum(place.entry.size for place in places), "bytes") as progress:
        done = bring_back(file, places, invocation.home, progress.set)
    if as_json:
        output.document(msgspec.to_builtins(done))
        return
    for path in done.placed:
        output.line(path)
    _tell(messages, done)


def _agreed_places(invocation: Invocation, file: Path, parts: list[Part], *, yes: bool) -> list[Placed]:
    """Return where each file of the archive goes, after asking for permission to replace files. Raises CommandError."""
    from swimctl.archive.contents import opened
    from swimctl.archive.restoring import locked, plan
    from swimctl.output import require_yes

    with opened(file) as (_, manifest):
        pass
    with locked(invocation.home):
        pass  # report a running service before asking anything
    places = plan(manifest, invocation.home, invocation.load_config(), parts, invocation.config_path)
    if not places:
        raise CommandFailed(f"{file} does not contain {', '.join(parts)}", "list its contents: tar tzf FILE")
    replaced = [str(place.target) for place in places if place.replaces]
    if replaced:
        question = f"Replace {', '.join(replaced)} with those of {manifest.created_at}?"
        require_yes(f"{question} The current files are set aside.", yes=yes)
    return places


def _tell(messages: Output, done: Restored) -> None:
    for path in done.set_aside:
        messages.line(f"set aside: {path}")
    if done.ended_again:
        messages.line(f"revoked or expired since the backup, and still so: key {', '.join(map(str, done.ended_again))}")
    if done.missing_keys:
        messages.line(f"{plural(done.missing_keys, 'key')} created since the backup are no longer known")
    if done.has_unknown_endings:
        messages.line(
            f"keys that were revoked or expired after {done.created_at} are valid again: check with swimctl keys list"
        )
    messages.line("next: swimctl db status, then swimctl serve or systemctl start swim")
