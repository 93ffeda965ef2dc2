"""``swimctl bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.arguments.files import told_with_its_name
from swimctl.arguments.output import Header, Json, Piped, PipedFormat
from swimctl.errors import CommandFailed, WrongUsage
from swimctl.invocation import invocation_of
from swimctl.progress import Progress

if TYPE_CHECKING:
    from swimctl.bench.measurement import Target
    from swimctl.bench.publisher import Load
    from swimctl.client.session import Session
    from swimctl.output import Output

app = single_command()

MOST_CLIENTS = 60_000
DESCRIPTORS_SPARE = 100


Clients = Annotated[
    int, typer.Option("--clients", metavar="N", min=1, max=MOST_CLIENTS, help="Number of listening clients.")
]
Rate = Annotated[float, typer.Option("--rate", metavar="N", min=0.01, max=10_000, help="Events per second.")]
Duration = Annotated[
    float, typer.Option("--duration", metavar="SECONDS", min=0.1, max=3600, help="Duration in seconds.")
]
Size = Annotated[
    int, typer.Option("--size", metavar="BYTES", min=200, max=60_000, help="Approximate size of an event, in bytes.")
]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Load another service; the key is read from SWIM_API_KEY.")
]
Running = Annotated[bool, typer.Option("--running", help="Load the service that runs here, after asking.")]
Temporary = Annotated[
    bool, typer.Option("--temporary", help="Load a temporary service; the default without --running and --url.")
]
Compare = Annotated[
    Path | None, typer.Option("--compare", metavar="FILE", help="Compare with the --json document of an earlier run.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before loading a service in use.")]


@app.command()
def bench(
    context: typer.Context,
    *,
    clients: Clients = 1000,
    rate: Rate = 50,
    duration: Duration = 10,
    size: Size = 260,
    url: Url = None,
    running: Running = False,
    temporary: Temporary = False,
    compare: Compare = None,
    yes: Yes = False,
    as_json: Json = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Measure a service under load.

    Clients in processes of their own connect and listen while events are published at a constant rate. The result:
    connects and deliveries per second, latency from publishing to receiving, losses and repeats (both must be 0), and
    the daemon's CPU and memory. A client whose connection ends connects again and resumes, as every client should; how
    often is told. By default a temporary service is started and measured; with --running, the service
    that runs here, whose history then contains the measured events (type system.notice). Exit code 1 if anything was
    lost or repeated, or a client failed.

    \b
    Examples:
      swimctl bench
      swimctl bench --clients 10000 --rate 20 --duration 20 --json > before.json
      swimctl bench --clients 10000 --rate 20 --compare before.json
      swimctl bench --running --clients 100
    """
    from swimctl.bench.targets import opened_target

    invocation = invocation_of(context)
    output, messages = invocation.output(as_json=as_json).piped_as(header=header, version=piped), invocation.messages()
    if sum((url is not None, running, temporary)) > 1:
        raise WrongUsage("only one of --url, --running and --temporary can be given")
    earlier = _read_earlier(compare)
    _check_descriptors(clients)
    with opened_target(invocation, url, is_running=running, yes=yes, messages=messages) as (target, session):
        load = _new_load(rate, duration, size)
        document = _measure(target, session, clients, load, is_local=url is None, messages=messages)
    _write(output, document, earlier)


def _write(output: Output, document: dict[str, Any], earlier: Mapping[str, Any] | None) -> None:
    """Print the result, compared with an earlier one if given.

    Raises CommandFailed if anything was lost or repeated, or a client failed.
    """
    from swimctl.render.bench import pairs

    if output.as_json:
        output.document(document)
    else:
        output.details(pairs(document, earlier), document)
    if not document["ok"]:
        raise CommandFailed(_complaint(document), "see what happened with: swimctl logs")


def _new_load(rate: float, seconds: float, size_bytes: int) -> Load:
    import random

    from swimctl.bench.publisher import Load

    return Load(run=random.randrange(10**9), rate=rate, seconds=seconds, size_bytes=size_bytes)


def _measure(
    target: Target, session: Session, clients: int, load: Load, *, is_local: bool, messages: Output
) -> dict[str, Any]:
    from swimctl.bench.measurement import Measurement

    messages.line(f"{clients} clients connect to {target.url}")
    with Measurement(target, clients, load) as measurement:
        connecting = measurement.open()
        messages.line(f"{connecting['listening']} listen; {load.events} events at {load.rate:g} a second follow")
        with Progress(messages, "publishing", total=load.events) as progress:
            figures = measurement.run(session, is_local=is_local, tell=progress.set)
    is_clean = not figures["lost"] and not figures["repeated"] and not connecting["failed"]
    return {"ok": is_clean, "url": target.url, "clients": clients, "connecting": connecting, **figures}


def _complaint(document: Mapping[str, Any]) -> str:
    failed = document["connecting"]["failed"]
    parts = [f"{document['lost']} deliveries lost", f"{document['repeated']} repeated", f"{failed} clients failed"]
    reason = document["connecting"]["reason"]
    return ", ".join(parts) + (f" ({reason})" if reason else "")


def _check_descriptors(clients: int) -> None:
    import resource

    from swimctl.bench.measurement import CLIENTS_PER_PROCESS

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = min(clients, max(CLIENTS_PER_PROCESS, clients // 2)) + DESCRIPTORS_SPARE
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise CommandFailed(
            f"{clients} clients need {needed} open files in a process; the limit is {hard}",
            f"raise it: ulimit -n {needed}",
        )


def _read_earlier(path: Path | None) -> Mapping[str, Any] | None:
    import json

    if path is None:
        return None
    try:
        with told_with_its_name(path, "make it with: swimctl bench --json > FILE"):
            earlier = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise WrongUsage(f"--compare: {path} is not JSON", "make it with: swimctl bench --json > FILE") from None
    if not isinstance(earlier, dict):
        raise WrongUsage(f"--compare: {path} is not a measurement", "make it with: swimctl bench --json > FILE")
    return earlier
