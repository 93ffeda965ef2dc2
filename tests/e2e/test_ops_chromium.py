"""The operator's page in a real Chromium: what it answers, what it does, and what other sites can do: nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Tab, chromium
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.nodes import running_nodes
from support.open_pages import FLIGHTS, LIVE, open_ops, origin
from support.redis_server import redis_server
from websockets.sync.client import connect

pytestmark = [pytest.mark.unmeasured, pytest.mark.long]

CLOSED_PORT = 9
SOURCES = f"""
[[sources]]
kind = "drop"
name = "quiet"
path = "{{folder}}/drop"
[[sources]]
kind = "vatsim"
name = "broken"
url = "http://127.0.0.1:{CLOSED_PORT}/data.json"
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[[], Tab]]:
    with chromium() as open_tab:
        yield open_tab


@pytest.fixture(scope="module")
def daemon(browser: Callable[[], Tab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    folder = tmp_path_factory.mktemp("ops")
    (folder / "drop").mkdir()
    with live_daemon(folder / "home", config=SOURCES.format(folder=folder)) as running:
        yield running


@contextmanager
def slow_client(daemon: LiveDaemon, key: str) -> Iterator[None]:
    """Subscribe and read nothing; its system takes little."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", daemon.port))
        with connect(
            f"{daemon.url}?api_key={key}", sock=line, ping_interval=None, close_timeout=0, max_queue=1, compression=None
        ) as client:
            client.send(json.dumps({"action": "subscribe", "channels": ["flight.*"]}))
            yield


def test_page_alone_says_who_is_slow_which_source_is_late_and_whether_a_restart_is_safe(
    browser: Callable[[], Tab], daemon: LiveDaemon
) -> None:
    tab = browser()
    tab.look_as(1440, 900)
    open_ops(tab, daemon)
    tab.wait_for("document.querySelector('.restart').dataset.answer === 'yes'")
    tab.wait_for("document.querySelector('#sources').innerText.includes('broken')")
    quiet, broken = tab.evaluate("[...document.querySelectorAll('#sources .source')].map((each) => each.innerText)")
    assert "late: nothing yet" in quiet, quiet
    assert "late" not in broken, broken
    assert "127.0.0.1" in broken or "onnect" in broken, broken
    key = daemon.make_key("partner")
    with slow_client(daemon, key.api_key):
        big = {**FLIGHTS[0], "route": "DCT " * 12_000}
        shown = "document.querySelector('#connections tbody tr')?.innerText ?? ''"

        def is_slow() -> bool:
            for _ in range(3):
                daemon.put(("flight.updated", big))
            tab.listen(0.5)
            return bool(tab.evaluate(f"/ev ·|KiB|MiB/.test({shown})"))

        await_true(is_slow, seconds=60, what="the slow client on the page")
        slowest = tab.text("#connections tbody tr")
        assert "a test" in slowest, slowest
        assert "partner" in slowest, slowest
    daemon.config_path.write_text(daemon.config_path.read_text() + "\n[tiers.developer]\nconnections = -1\n")
    tab.wait_for("document.querySelector('.restart').dataset.answer === 'no'")
    assert "would not start" in tab.text("#restart-reasons")
    assert tab.complaints == []


def test_doctor_is_run_from_the_page_and_says_what_to_do(browser: Callable[[], Tab], tmp_path: Path) -> None:
    with live_daemon(tmp_path / "home") as other:
        tab = browser()
        tab.look_as(1440, 900)
        open_ops(tab, other)
        tab.click("#doctor-run")
        tab.wait_for("document.querySelector('#doctor').innerText.includes('Doctor is looking')")
        assert tab.evaluate("document.querySelector('#doctor-run').disabled")
        tab.wait_for("document.querySelector('#doctor .chip')", seconds=200)
        told = tab.text("#doctor")
        assert " ok" in told, told
        assert "passed" not in told or "failed" in told
        tab.wait_for("!document.querySelector('#doctor-run').disabled")
        tab.open(f"{origin(other)}/ops")
        tab.wait_for("document.querySelector('#doctor .chip')")
        assert "the operator's page runs doctor" in other.everything_logged
        assert tab.complaints == []


def test_worker_processes_and_whose_client_is_whose_are_shown(browser: Callable[[], Tab], tmp_path: Path) -> None:
    with live_daemon(tmp_path / "home", config="[server]\nworkers = 2\n") as other, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(f"{other.url}?api_key={other.api_key()}", close_timeout=1))
        tab = browser()
        tab.look_as(1440, 900)
        open_ops(tab, other)
        tab.wait_for("document.querySelectorAll('#workers tbody tr').length === 2")
        first, second = tab.evaluate("[...document.querySelectorAll('#workers tbody tr')].map((row) => row.innerText)")
        assert "ready" in first and "ready" in second, (first, second)
        tab.wait_for("[...document.querySelectorAll('#connections th')].some((each) => each.innerText === 'Worker')")
        pid = other.call("status")["workers"][0]["pid"]
        os.kill(pid, signal.SIGKILL)
        tab.wait_for("document.querySelector('#workers').innerText.includes('killed by signal 9')", seconds=60)
        assert tab.complaints == []


def test_reload_and_close_ask_first_and_are_logged_with_who_and_from_where(
    browser: Callable[[], Tab], tmp_path: Path
) -> None:
    with live_daemon(tmp_path / "home") as other, ExitStack() as stack:
        key = other.make_key()
        client = stack.enter_context(connect(f"{other.url}?api_key={key.api_key}", close_timeout=1))
        tab = browser()
        tab.look_as(1440, 900)
        open_ops(tab, other)
        tab.wait_for("document.querySelector('#connections tbody .plain')")
        for button, question in (("#connections tbody .plain", "Close the connection"), ("#reload", "Reload")):
            tab.click(button)
            tab.wait_for("document.querySelector('#ask').open")
            assert question in tab.text("#ask-title")
            tab.click("#ask-no")
            tab.wait_for("!document.querySelector('#ask').open")
        assert other.counted()["developer"] == 1
        assert "reloads the configuration" not in other.everything_logged
        tab.click("#connections tbody .plain")
        tab.wait_for("document.querySelector('#ask').open")
        tab.press("Escape")
        tab.wait_for("!document.querySelector('#ask').open")
        assert other.counted()["developer"] == 1
        tab.click("#connections tbody .plain")
        tab.wait_for("document.querySelector('#ask').open")
        tab.click("#ask-yes")
        tab.wait_for("document.querySelector('#toast').textContent.includes('closed')")
        await_true(lambda: other.counted()["developer"] == 0)
        other.config_path.write_text("[tiers.developer]\nconnections = 7\n")
        tab.click("#reload")
        tab.wait_for("document.querySelector('#ask').open")
        tab.click("#ask-yes")
        tab.wait_for("document.querySelector('#toast').textContent.includes('tiers.developer.connections')")
        logged = [line for line in other.everything_logged.splitlines() if "the operator's page" in line]
        for what in ("closes a connection", "reloads the configuration"):
            (line,) = [each for each in logged if what in each]
            assert "127.0.0.1" in line
            assert "session=" in line
        client.close()


def test_no_token_is_in_an_address_a_log_the_history_or_the_page(
    browser: Callable[[], Tab], daemon: LiveDaemon
) -> None:
    tab = browser()
    token = open_ops(tab, daemon)
    operator = (daemon.home / "operator.token").read_text("ascii").strip()
    cookies = tab.call("Network.getCookies")["cookies"]
    (cookie,) = [each for each in cookies if each["name"] == "swim_ops"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    everywhere = [
        *tab.requests, *tab.sockets, tab.evaluate("document.documentElement.outerHTML"), tab.evaluate("location.href"),
        tab.evaluate("document.cookie + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})"),
        str(tab.call("Page.getNavigationHistory")["entries"]), daemon.everything_logged,
        *(each.get("Referer", "") for each in tab.headers),
    ]  # fmt: skip
    for secret in (token, operator, cookie["value"]):
        assert not any(secret in each for each in everywhere)


EVIL = """<!doctype html><meta charset="utf-8"><title>evil</title><body><script>
const target = "TARGET", key = KEY;
const tried = {};
const attempt = async (name, work) => {
  try { tried[name] = await work(); } catch { tried[name] = 'refused'; }
};
const send = (options) => fetch(target + '/ops/actions/revoke', {
  method: 'POST', credentials: 'include', body: JSON.stringify({ key_id: key }), ...options });
const frame = (path) => new Promise((done) => {
  const made = document.createElement('iframe');
  made.onload = () => { try { done(made.contentDocument.body.innerText || 'empty'); } catch { done('refused'); } };
  setTimeout(() => done('refused'), 4000);
  made.src = target + path; document.body.append(made);
});
const form = (action, fields) => {
  const made = document.createElement('form'); made.method = 'post'; made.action = target + action;
  made.target = 'sink';
  made.enctype = 'text/plain';
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement('input'); input.name = name; input.value = value; made.append(input);
  }
  document.body.append(made); made.submit();
};
window.done = (async () => {
  await attempt('read', async () => (await fetch(target + '/ops/data/overview', { credentials: 'include' })).text());
  await attempt('session', async () => (await fetch(target + '/ops/session', { credentials: 'include' })).text());
  await attempt('blind read', async () =>
    (await fetch(target + '/ops/data/keys', { credentials: 'include', mode: 'no-cors' })).text());
  await attempt('plain', async () =>
    (await send({ mode: 'no-cors', headers: { 'Content-Type': 'text/plain' } })).text());
  await attempt('json', async () =>
    (await send({ headers: { 'Content-Type': 'application/json', 'X-SWIM-Ops': '1' } })).text());
  await attempt('beacon', async () =>
    { navigator.sendBeacon(target + '/ops/actions/revoke', JSON.stringify({ key_id: key })); return ''; });
  const sink = document.createElement('iframe'); sink.name = 'sink'; document.body.append(sink);
  form('/ops/actions/revoke', { ['{"key_id":' + key + ',"reason":"']: '"}' });
  form('/ops/actions/reload', { '{"a":"': '"}' });
  form('/ops/logout', { '{"a":"': '"}' });
  await attempt('frame of ops', () => frame('/ops'));
  await attempt('frame of map', () => frame('/map'));
  await attempt('window', async () => {
    const other = window.open(target + '/ops'); await new Promise((done) => setTimeout(done, 1500));
    return other === null ? 'refused' : other.document.body.innerText; });
  await attempt('socket', () => new Promise((done, fail) => {
    const line = new WebSocket(target.replace('http', 'ws') + '/api/swim/v1/ws');
    line.onmessage = ({ data }) => done(JSON.parse(data).type); line.onerror = fail; }));
  return tried;
})();
</script></body>"""


@contextmanager
def site(text: str) -> Iterator[str]:
    """Serve a page of another origin, which a browser holds for the same site: what its cookies are sent to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_page_of_another_origin_with_the_operators_cookie_can_do_nothing(
    browser: Callable[[], Tab], daemon: LiveDaemon
) -> None:
    key, own = daemon.make_key("partner"), browser()
    open_ops(own, daemon)
    evil = EVIL.replace("TARGET", origin(daemon)).replace("KEY", str(key.record.id))
    with site(evil) as address:
        tab = browser()
        tab.call("Page.bringToFront")
        tab.open(address)
        tried = tab.evaluate("window.done")
    for name in ("read", "session", "json", "frame of ops", "frame of map", "window"):
        assert tried[name] in ("refused", "empty"), (name, tried)
    for name in ("blind read", "plain"):
        assert tried[name] in ("refused", ""), (name, tried)
    assert tried["socket"] in ("error", "refused"), tried
    assert "revokes a key" not in daemon.everything_logged
    with connect(f"{daemon.url}?api_key={key.api_key}", close_timeout=1) as client:
        assert json.loads(client.recv(timeout=20))["type"] == "connected"
    own.call("Page.bringToFront")
    own.open(f"{origin(daemon)}/ops")
    own.wait_for(LIVE)


def test_nodes_and_leases_are_shown_where_there_are_any(browser: Callable[[], Tab], tmp_path: Path) -> None:
    config = '[[sources]]\nkind = "simulator"\nflights = 5\n'
    with redis_server() as server, running_nodes(tmp_path, server, 2, config=config) as nodes:
        tab = browser()
        tab.look_as(1440, 900)
        open_ops(tab, nodes[0])
        tab.wait_for("!document.querySelector('#nodes-box').hidden")
        tab.wait_for("document.querySelectorAll('#nodes tbody tr').length === 2")
        assert "node0 (this one)" in tab.text("#nodes")
        tab.wait_for("/simulator\\s+node[01]/.test(document.querySelector('#leases').innerText)")
        nodes[1].kill()
        tab.wait_for("/silent|gone/.test(document.querySelector('#nodes').innerText)", seconds=100)
        assert tab.complaints == []
