"""The real proxies, each with the configuration that this project ships, on free ports of this machine.

Only ports, folders and timeouts of a shipped file are replaced, and each replaced text must be there: a file that
changes without its test is noticed.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import trustme
from support.packages import apt_install, missing, require_program

CONFIG = Path(__file__).parents[2] / "config"
HOST = "swim.example.org"
"""As the shipped files name the site; the tests reach it at 127.0.0.1."""
PAGE = "<h1>A page of the site</h1>\n"
START_SECONDS = 15.0
STOP_SECONDS = 5.0
CERTIFICATES = f"/etc/letsencrypt/live/{HOST}"
BACKEND = "127.0.0.1:8090"


class Proxy:
    """One proxy in front of a service on ``backend_port``; subclasses know how to configure the program."""

    name = ""
    program = ""
    package = ""
    also_needs: ClassVar[Mapping[Path, str]] = {}
    """Files of further packages."""
    has_tls = True
    offers_websocket_over_http2 = False
    answers_websockets_without_service = True
    keeps_tunnels_at_reload = True
    tells_when_to_retry = True
    """Its answer while the service is away has Retry-After, and is JSON."""
    timeout_text: tuple[str, ...] = ()
    """What stands in the shipped file for how long a tunnel may be quiet; none: it may be for ever."""

    def __init__(self, folder: Path, backend_port: int, *, quiet_seconds: int | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.plain_port = free_port()
        self.backend_port = backend_port
        self.quiet_seconds = quiet_seconds
        """In place of the shipped timeout."""
        self.edits: Mapping[str, str] = {}
        """Further texts to replace: a file that somebody has got wrong."""
        self.pages = folder / "pages"
        self.logs = folder / "logs"
        self.process: subprocess.Popen[bytes] | None = None
        self.path = require_program(self.program, self.package)
        for file, package in self.also_needs.items():
            if not file.exists():
                apt_install(package)
            if not file.exists():
                missing(f"{file} is not there: apt-get install {package}")
        for each in (self.pages, self.logs):
            each.mkdir()
            each.chmod(0o777)  # a proxy that root starts works as a user of its own
        (self.pages / "index.html").write_text(PAGE)
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST)
        (folder / "fullchain.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
        (folder / "privkey.pem").write_bytes(certificate.private_key_pem.bytes())
        (folder / "authority.pem").write_bytes(authority.cert_pem.bytes())
        (folder / "both.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        self.tls = ssl.create_default_context()
        authority.configure_trust(self.tls)

    @property
    def url(self) -> str:
        """The address for clients; the host is this machine, whatever its name."""
        return f"wss://{HOST}:{self.port}" if self.has_tls else f"ws://{HOST}:{self.port}"

    def shipped(self, name: str, changes: Mapping[str, str]) -> str:
        """Return the shipped file with other ports, folders and timeouts."""
        text = (CONFIG / name).read_text("utf-8")
        quiet = dict.fromkeys(self.timeout_text, "") if self.quiet_seconds is not None else {}
        quiet = {old: re.sub(r"\d+", str(self.quiet_seconds), old) for old in quiet}
        for old, new in {**changes, **quiet, **self.edits}.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        return text

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def command(self) -> list[str]:
        """Write the configuration; return the words that start the program in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it; return once it accepts connections."""
        with (self.logs / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | self.environ(),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"{self.name} did not start:\n{self.logged}")

    def environ(self) -> dict[str, str]:
        return {}

    def reload(self) -> None:
        """Make it reload its configuration, as its package does."""
        raise NotImplementedError

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End it, and all processes it has left."""
        if self.process is None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def logged(self) -> str:
        """Everything in its log files."""
        files = sorted(path for path in self.logs.rglob("*") if path.is_file())
        return "\n".join(f"{path.name}: {path.read_text('utf-8', 'replace')}" for path in files)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send one plain request; return status, headers with lower-case names, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        if self.has_tls:
            plain = socket.create_connection(("127.0.0.1", self.port), 10)
            connection.sock = self.tls.wrap_socket(plain, server_hostname=HOST)
        try:
            connection.request("GET", path, headers={"Host": f"{HOST}:{self.port}", **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


class SiteOfPages:
    """A web server with the site's pages, for proxies that have none of their own."""

    def __init__(self, pages: Path) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(pages)))
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
