"""TLS without a proxy: clients connect with it, and a certificate replaced on disk is used without a restart."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.packages import require_program
from support.wire_client import dial

NAMES = ("swim.test", "events.swim.test")


def write_certificate(folder: Path, common_name: str) -> None:
    """Write a certificate with all names, and its key, as one replaces them: key first."""
    names = ",".join(f"DNS:{name}" for name in NAMES)
    for name in ("cert.pem", "key.pem"):
        (folder / name).unlink(missing_ok=True)
    subprocess.run(
        [require_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={common_name}", "-addext", f"subjectAltName={names}",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip


def client_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def shown(daemon: LiveDaemon, context: ssl.SSLContext, name: str = NAMES[0]) -> tuple[str, str | None, str | None]:
    """The certificate's common name, the protocol and the version that a handshake ends in."""
    with (
        socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        certificate = tls.getpeercert()
        assert certificate is not None
        subject = dict(pair for part in certificate["subject"] for pair in part)  # type: ignore[misc]  # typeshed: parts of any nesting
        return str(subject["commonName"]), tls.selected_alpn_protocol(), tls.version()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_certificate(tmp_path, "first")
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[LiveDaemon]:
    arguments = ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
    with live_daemon(folder / "home", arguments=arguments) as running:
        yield running


async def test_clients_come_in_by_every_name_of_the_certificate(daemon: LiveDaemon, folder: Path) -> None:
    assert daemon.url.startswith("wss://")
    key = daemon.api_key()
    for name in NAMES:
        async with dial(daemon.url, key, ssl=client_context(folder), server_hostname=name) as client:
            await client.subscribe("tmi.*")
            daemon.put(("tmi.issued", {"program_id": 1}))
            (event,) = await client.events(1)
            assert event["data"]["program_id"] == 1


def test_handshake_agrees_on_http_1_1_and_on_nothing_older_than_tls_1_2(daemon: LiveDaemon, folder: Path) -> None:
    context = client_context(folder)
    assert shown(daemon, context)[1:] == ("http/1.1", "TLSv1.3")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shown(daemon, context)[2] == "TLSv1.2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is what is tried
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown(daemon, context)


def test_plain_requests_are_answered_too(daemon: LiveDaemon, folder: Path) -> None:
    context = client_context(folder)
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, timeout=10, context=context)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


async def test_replaced_certificate_is_shown_after_a_reload_and_nobody_is_dropped(
    daemon: LiveDaemon, folder: Path
) -> None:
    key = daemon.api_key()
    async with dial(daemon.url, key, ssl=client_context(folder), server_hostname=NAMES[0]) as client:
        await asyncio.to_thread(write_certificate, folder, "second")
        daemon.call("reload")
        assert shown(daemon, client_context(folder))[0] == "second"
        assert (await client.ask("ping"))["type"] == "pong"


def test_replaced_certificate_is_shown_by_itself(daemon: LiveDaemon, folder: Path) -> None:
    write_certificate(folder, "second")
    await_true(lambda: "certificate reloaded" in daemon.everything_logged, seconds=30, what="the look at the files")
    assert shown(daemon, client_context(folder))[0] == "second"


def test_certificate_that_cannot_be_used_is_told_once_and_the_one_before_goes_on(
    daemon: LiveDaemon, folder: Path
) -> None:
    context = client_context(folder)
    (folder / "key.pem").write_text("nonsense", "utf-8")
    daemon.call("reload")
    daemon.call("reload")
    assert shown(daemon, context)[0] == "first"
    assert daemon.everything_logged.count("can't be used; the previous one stays in use") == 1


def test_whoever_speaks_no_tls_is_dropped_and_counts_as_no_client(daemon: LiveDaemon) -> None:
    before = daemon.call("tally", {"brief": True})["made"]
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            while client.recv(1000):
                pass
            raise ConnectionResetError
    assert daemon.call("tally", {"brief": True})["made"] == before
    assert "Traceback" not in daemon.everything_logged


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--tls-cert", "cert.pem"), "tls_certificate and tls_key belong together"),
        (("--tls-cert", "cert.pem", "--tls-key", "nowhere.pem"), "No such file or directory"),
    ],
)
def test_certificate_that_cannot_be_used_ends_the_start_with_the_reason(
    folder: Path, arguments: tuple[str, ...], text: str
) -> None:
    words = [str(folder / word) if word.endswith(".pem") else word for word in arguments]
    daemon = LiveDaemon(folder / "home", arguments=words)
    try:
        with pytest.raises(AssertionError, match=text):
            daemon.start()
        assert "Traceback" not in daemon.log
    finally:
        daemon.finish()
