"""A browser: a page whose script knows nothing but ``new WebSocket(url)``."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from support.packages import missing, require_program

pytestmark = pytest.mark.unmeasured

SECONDS = 60
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
PAGE = """<!doctype html><title>map</title><script>
const { url, subscribe, wanted } = %s;
const seen = [];
const tell = (news) => fetch('/' + news, { method: 'POST', body: JSON.stringify(seen) });
const socket = new WebSocket(url);
socket.onopen = () => seen.push({ open: true, extensions: socket.extensions });
socket.onerror = () => seen.push({ error: true });
socket.onclose = (event) => { seen.push({ close: event.code, reason: event.reason }); tell('result'); };
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.type === 'system.heartbeat') return;
  seen.push({ message });
  if (message.type === 'connected' && subscribe) socket.send(JSON.stringify({ action: 'subscribe', ...subscribe }));
  if (message.type === 'subscribed') tell('ready');
  if (message.type === wanted) socket.close(1000, 'enough');
};
</script>"""


class Site:
    """Serves one page and takes what its script reports."""

    def __init__(self) -> None:
        self.page = b""
        self.on_ready: Callable[[], Any] = lambda: None
        self.result: list[dict[str, Any]] | None = None
        self.is_done = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path == "/" else 404, site.page if self.path == "/" else b"")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(200, b"")
                if self.path == "/ready":
                    site.on_ready()
                else:
                    site.result = body
                    site.is_done.set()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def chromium() -> str:
    return require_program("chromium", "chromium")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def daemon(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("browser") / "home") as daemon:
        yield daemon


@contextmanager
def _open(chromium: str, page: str) -> Iterator[subprocess.Popen[bytes]]:
    profile = tempfile.mkdtemp(prefix="swim-browser-")
    browser = subprocess.Popen(
        [chromium, *FLAGS, f"--user-data-dir={profile}", page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield browser
    finally:
        browser.terminate()
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _visit(chromium: str, site: Site, url: str, wanted: str = "", **subscribe: Any) -> list[dict[str, Any]]:
    """Let the browser run the page; return what its script saw, up to the close of its socket."""
    site.page = (PAGE % json.dumps({"url": url, "wanted": wanted, "subscribe": subscribe or None})).encode()
    with _open(chromium, site.origin + "/") as browser:
        if not site.is_done.wait(SECONDS):
            if browser.poll() is not None:
                missing(f"the browser ended with {browser.returncode} before it opened the page")
            raise AssertionError(f"the page reported nothing within {SECONDS} s")
    assert site.result is not None
    return site.result


def test_browser_subscribes_and_receives_live_events(chromium: str, site: Site, daemon: LiveDaemon) -> None:
    rows = [{"callsign": f"BAW{number}", "route": "DCT " * 20} for number in range(280)]
    site.on_ready = lambda: daemon.put(
        ("flight.departed", {"callsign": "BAW1", "note": "Zürich ✈"}),
        ("flight.positions", {"count": len(rows), "positions": rows}),
        ("flight.arrived", {"callsign": "BAW1"}),
    )
    seen = _visit(
        chromium, site, f"{daemon.url}?api_key={daemon.api_key()}", wanted="flight.arrived", channels=["flight.*"]
    )
    messages = [line["message"] for line in seen if "message" in line]
    assert [message["type"] for message in messages] == [
        "connected",
        "subscribed",
        "flight.departed",
        "flight.positions",
        "flight.arrived",
    ]
    assert messages[2]["data"]["note"] == "Zürich ✈"
    unknown = dict.fromkeys(("altitude_ft", "groundspeed_kts", "heading_deg", "vertical_rate_fpm"), 0)
    assert messages[3]["data"]["positions"] == [row | unknown for row in rows]
    assert seen[-1] == {"close": 1000, "reason": "enough"}


def test_browser_with_a_bad_key_sees_the_error_and_4001(chromium: str, site: Site, daemon: LiveDaemon) -> None:
    """It would see neither status nor body of a refused upgrade."""
    seen = _visit(chromium, site, f"{daemon.url}?api_key=invalid_key")
    assert seen[0]["open"] is True
    assert [line["message"]["code"] for line in seen if "message" in line] == ["AUTH_FAILED"]
    assert seen[-1]["close"] == 4001


def test_browser_is_asked_to_come_back_when_the_service_stops(
    chromium: str, site: Site, daemon: LiveDaemon, tmp_path: Path
) -> None:
    with live_daemon(tmp_path / "home") as other:
        site.on_ready = lambda: other.call("stop")
        seen = _visit(chromium, site, f"{other.url}?key={other.api_key()}", channels=["*"])
    assert seen[-1]["close"] == 1012
    assert "retry_ms=" in seen[-1]["reason"]


def test_browser_of_another_origin_is_kept_out_where_origins_are_named(
    chromium: str, site: Site, tmp_path: Path
) -> None:
    with live_daemon(tmp_path / "home", config='[server]\nallowed_origins = ["https://map.test"]\n') as other:
        seen = _visit(chromium, site, f"{other.url}?key={other.api_key()}")
        assert seen == [{"error": True}, {"close": 1006, "reason": ""}]
        other.config_path.write_text(f'[server]\nallowed_origins = ["{site.origin}"]\n')
        other.call("restart")
        site.is_done.clear()
        site.on_ready = lambda: other.put(("tmi.issued", {"program_id": 1}))
        seen = _visit(chromium, site, f"{other.url}?key={other.api_key()}", wanted="tmi.issued", channels=["tmi.*"])
    assert seen[-1]["close"] == 1000


def test_page_is_what_the_browser_was_told_to_open(site: Site) -> None:
    """The rig itself: a page and its report, without a browser."""

    async def visit() -> bytes:
        host, _, port = site.origin.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /result HTTP/1.0\r\nContent-Length: 2\r\n\r\n[]")
        answer = await reader.read()
        writer.close()
        return answer

    assert b"200" in asyncio.run(visit())
    assert site.result == []
