"""``swimctl bench``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.arguments.files import told_with_its_name
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.errors import CommandFailed, WrongUsage
from swimctl.invocation import Invocation, Remote, invocation_of
from swimctl.output import require_yes
from swimctl.progress import Progress

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status

    from swimctl.bench.measurement import Target
    from swimctl.client.control import ControlClient
    from swimctl.client.session import Session
    from swimctl.output import Output

app = single_command()

KEY_VARIABLE = "SWIM_API_KEY"
MOST_CLIENTS = 60_000
DESCRIPTORS_SPARE = 100


@app.command()
def bench(
    context: typer.Context,
    *,
    clients: Annotated[
        int, typer.Option("--clients", metavar="N", min=1, max=MOST_CLIENTS, help="Number of listening clients.")
    ] = 1000,
    rate: Annotated[float, typer.Option("--rate", metavar="N", min=0.01, max=10_000, help="Events per second.")] = 50,
    duration: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", min=0.1, max=3600, help="Duration in seconds.")
    ] = 10,
    size: Annotated[
        int,
        typer.Option("--size", metavar="BYTES", min=200, max=60_000, help="Approximate size of an event, in bytes."),
    ] = 260,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Load another service; the key is read from SWIM_API_KEY."),
    ] = None,
    running: Annotated[bool, typer.Option("--running", help="Load the service that runs here, after asking.")] = False,
    temporary: Annotated[
        bool, typer.Option("--temporary", help="Load a temporary service; the default without --running and --url.")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="FILE", help="Compare with the --json document of an earlier run."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before loading a service in use.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Measure a service under load.

    Clients in processes of their own connect and listen while events are published at a constant rate. The result:
    connects and deliveries per second, latency from publishing to receiving, losses and repeats (both must be 0), and
    the daemon's CPU and memory. By default a temporary service is started and measured; with --running, the service
    that runs here, whose history keeps the measured events, of type system.notice. Exit code 1 if anything was lost or
    repeated, or a client failed.

    \b
    Examples:
      swimctl bench
      swimctl bench --clients 10000 --rate 20 --duration 20 --json > before.json
      swimctl bench --clients 10000 --rate 20 --compare before.json
      swimctl bench --running --clients 100
    """
    from swimctl.render.bench import pairs

    invocation = invocation_of(context)
    output, messages = invocation.output(as_json=as_json).piped_as(header=header, version=piped), invocation.messages()
    if sum((url is not None, running, temporary)) > 1:
        raise WrongUsage("only one of --url, --running and --temporary can be given")
    earlier = _read_earlier(compare)
    _check_descriptors(clients)
    with _target(invocation, url, is_running=running, yes=yes, messages=messages) as (target, session):
        document = _measure(target, session, clients, rate, duration, size, is_local=url is None, messages=messages)
    if as_json:
        output.document(document)
    else:
        output.details(pairs(document, earlier), document)
    if not document["ok"]:
        raise CommandFailed(_complaint(document), "see what happened with: swimctl logs")


def _measure(
    target: Target,
    session: Session,
    clients: int,
    rate: float,
    duration: float,
    size: int,
    *,
    is_local: bool,
    messages: Output,
) -> dict[str, Any]:
    import random

    from swimctl.bench.measurement import Measurement
    from swimctl.bench.publisher import Load

    load = Load(run=random.randrange(10**9), rate=rate, seconds=duration, size_bytes=size)
    messages.line(f"{clients} clients connect to {target.url}")
    with Measurement(target, clients, load) as measurement:
        connecting = measurement.open()
        messages.line(f"{connecting['listening']} listen; {load.events} events at {rate:g} a second follow")
        with Progress(messages, "publishing", total=load.events) as progress:
            figures = measurement.run(session, is_local=is_local, tell=progress.set)
    is_clean = not figures["lost"] and not figures["repeated"] and not connecting["failed"]
    return {"ok": is_clean, "url": target.url, "clients": clients, "connecting": connecting, **figures}


def _complaint(document: Mapping[str, Any]) -> str:
    failed = document["connecting"]["failed"]
    parts = [f"{document['lost']} deliveries lost", f"{document['repeated']} repeated", f"{failed} clients failed"]
    reason = document["connecting"]["reason"]
    return ", ".join(parts) + (f" ({reason})" if reason else "")


@contextmanager
def _target(
    invocation: Invocation, url: str | None, *, is_running: bool, yes: bool, messages: Output
) -> Iterator[tuple[Target, Session]]:
    """Open what is measured, and a session to publish through."""
    if url is not None:  # a context is not enough: load is put on what is named here
        yield from _remote(Remote(url, invocation.environ.get(KEY_VARIABLE)), yes=yes)
        return
    if not is_running:
        messages.line("starting a temporary service; this machine's own service is not used")
        yield from _temporary()
        return
    with invocation.connect() as control:
        status = _status(control)
        question = f"Load {status.url}? Its clients receive the measured events, and its history keeps them."
        require_yes(question, yes=yes)
        yield from _running(invocation, status, control.session)


def _status(control: ControlClient) -> Status:
    from swim_server.daemon.control.documents.status import Status

    return control.ask("status", Status)


def _remote(remote: Remote, *, yes: bool) -> Iterator[tuple[Target, Session]]:
    from urllib.parse import urlsplit

    from swimctl.bench.measurement import Target
    from swimctl.client.connect import to_url

    url, api_key = remote
    parts = urlsplit(url)
    if parts.scheme != "ws" or not parts.hostname:
        raise WrongUsage(
            f"--url: {url!r} is not a ws:// address",
            "bench does not support TLS: use the service's own address, behind the proxy",
        )
    if not _is_loopback(parts.hostname) and not yes:
        raise WrongUsage(
            f"--url: {parts.hostname} is not this machine, and the load affects its users", "add --yes to go ahead"
        )
    if not api_key:
        raise WrongUsage(f"{KEY_VARIABLE} is not set", "it must hold a key of the system tier, as one client publishes")
    with to_url(url, api_key)() as session:
        yield Target(url, api_key, None), session


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _temporary() -> Iterator[tuple[Target, Session]]:
    import os

    from swimctl.bench.measurement import Target
    from swimctl.temporary_service import TemporaryService

    with TemporaryService(os.environ).start([]) as service:
        api_key = service.create_key("system", "swimctl bench")
        with service.invocation.connect() as control:
            yield Target(service.url, api_key, _status(control).pid), control.session


def _running(invocation: Invocation, status: Status, session: Session) -> Iterator[tuple[Target, Session]]:
    """Measure the service of this home, with a key that lives as long as the measurement."""
    from swim_server.keys.audit import operating_user
    from swim_server.keys.format import Tier
    from swim_server.keys.new_key import NewKey

    from swimctl.bench.measurement import Target
    from swimctl.key_access import open_store

    with open_store(invocation) as store:
        issued = store.create(
            NewKey(tier=Tier.SYSTEM, owner_name="swimctl bench", description="for one measurement"), operating_user()
        )
        try:
            yield Target(str(status.url), issued.api_key, status.pid), session
        finally:
            store.revoke(issued.record.id, "the measurement is over", operating_user())


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
