"""What ``swimctl bench`` measures: a temporary service, the one that runs here, or one at an address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from swim_server.daemon.control.documents.status import Status

from swimctl.bench.measurement import Target
from swimctl.client.connect import split_urls, to_url
from swimctl.client.session import Session
from swimctl.errors import WrongUsage
from swimctl.invocation import Invocation, Remote
from swimctl.output import Output, require_yes

KEY_VARIABLE = "SWIM_API_KEY"


@contextmanager
def opened_target(
    invocation: Invocation, url: str | None, *, is_running: bool, yes: bool, messages: Output
) -> Iterator[tuple[Target, Session]]:
    """Open the service to measure, and a session to publish through."""
    if url is not None:  # a context is not enough: only a service named here is loaded
        yield from _remote(Remote(url, invocation.environ.get(KEY_VARIABLE)), yes=yes)
        return
    if not is_running:
        messages.line("starting a temporary service; this machine's own service is not used")
        yield from _temporary()
        return
    with invocation.connect() as control:
        status = control.ask("status", Status)
        question = f"Load {status.url}? Its clients receive the measured events, and its history keeps them."
        require_yes(question, yes=yes)
        yield from _running(invocation, status, control.session)


def _remote(remote: Remote, *, yes: bool) -> Iterator[tuple[Target, Session]]:
    url, api_key = remote
    if len(split_urls(url)) > 1:
        raise WrongUsage("--url: bench loads one address", "run one bench for each address")
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
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _temporary() -> Iterator[tuple[Target, Session]]:
    from swimctl.temporary_service import TemporaryService

    with TemporaryService(os.environ).start([]) as service:
        api_key = service.create_key("system", "swimctl bench")
        with service.invocation.connect() as control:
            yield Target(service.url, api_key, control.ask("status", Status).pid), control.session


def _running(invocation: Invocation, status: Status, session: Session) -> Iterator[tuple[Target, Session]]:
    """Measure the service of this home, with a key that is revoked afterwards."""
    from swim_server.keys.audit import operating_user
    from swim_server.keys.format import Tier
    from swim_server.keys.new_key import NewKey

    from swimctl.key_access import open_store

    with open_store(invocation) as store:
        issued = store.create(
            NewKey(tier=Tier.SYSTEM, owner_name="swimctl bench", description="for one measurement"), operating_user()
        )
        try:
            yield Target(str(status.url), issued.api_key, status.pid), session
        finally:
            store.revoke(issued.record.id, "the measurement is over", operating_user())
