"""The JavaScript SDK in a real Chromium whose tab is put to sleep, and whose network goes and comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.chromium import Tab, chromium
from support.packages import missing, require_program
from swim_conformance.builds import Unavailable, javascript
from swim_conformance.server_thread import ServerThread

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
PAGE = """<!doctype html><title>listens</title><script>{script}</script><script>
const seen = [], ended = [];
const pauses = {{ pingInterval: 1000, pingTimeout: 1000, reconnectInterval: 50, maxReconnectInterval: 500 }};
const client = new SwimWebSocketClient('{key}', {{ wsUrl: '{url}', ...pauses }});
client.on('flight.departed', (flight) => seen.push(flight.n));
client.on('disconnected', () => ended.push(Date.now()));
client.subscribe(['flight.*']);
const subscribed = client.connect();
</script>"""
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
ONLINE = {**OFFLINE, "offline": False}
BATCH = 300


@contextmanager
def listening(folder: Path, server: ServerThread) -> Iterator[Tab]:
    """A tab whose page is subscribed."""
    require_program("npm", "npm")
    try:
        script = (javascript() / "dist" / "swim-client.js").read_text("utf-8")
    except Unavailable as problem:
        missing(str(problem))
    page = folder / "page.html"
    page.write_text(PAGE.format(script=script, url=server.url, key=KEY), "utf-8")
    with chromium() as open_tab:
        tab = open_tab()
        tab.open(page.as_uri())
        server.wait_until(lambda: server.received(1, "subscribe"), 60)
        yield tab


def publish(server: ServerThread, first: int) -> None:
    for number in range(first, first + BATCH):
        server.publish("flight.departed", {"n": number, "filler": "x" * 1000})


def assert_has_seen(tab: Tab, count: int) -> None:
    """Wait until the page was given so many events; each was given once, in order."""
    tab.wait_for(f"seen.length >= {count}")
    assert json.loads(tab.evaluate("JSON.stringify(seen)")) == list(range(count))


@pytest.mark.long
def test_tab_that_was_put_to_sleep_gets_every_event_once(tmp_path: Path) -> None:
    with ServerThread() as server, listening(tmp_path, server) as tab:
        publish(server, 0)
        assert_has_seen(tab, BATCH)
        tab.call("Page.setWebLifecycleState", state="frozen")
        publish(server, BATCH)
        tab.listen(5)
        assert tab.evaluate("seen.length") == BATCH, "the tab sleeps"
        tab.call("Page.setWebLifecycleState", state="active")
        publish(server, 2 * BATCH)
        assert_has_seen(tab, 3 * BATCH)


@pytest.mark.long
def test_page_whose_network_is_cut_resumes_when_it_is_back(tmp_path: Path) -> None:
    """Attempts while it is away fail at once; the events of that time come with the first that does not."""
    script = {"connections": [[{"await": "subscribe"}, {"until": "cut"}, {"cut": True}]]}
    with ServerThread(script) as server, listening(tmp_path, server) as tab:
        publish(server, 0)
        assert_has_seen(tab, BATCH)
        tab.call("Network.emulateNetworkConditions", **OFFLINE)
        server.signal("cut")
        tab.wait_for("ended.length >= 1")
        publish(server, BATCH)
        tab.listen(2)
        assert tab.evaluate("seen.length") == BATCH
        tab.call("Network.emulateNetworkConditions", **ONLINE)
        assert_has_seen(tab, 2 * BATCH)
