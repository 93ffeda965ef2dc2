"""The pages in a real Chromium: what they show, wide and narrow, light and dark; what they ask for, and of whom."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Tab, chromium
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.open_pages import FLIGHTS, LIVE, SHOWN, open_ops, origin, search, sign_in
from support.packages import require_npm_package

pytestmark = pytest.mark.unmeasured

AXE = ("axe-core", "4.14.1")
LOOKS = [(1440, 900, "light"), (390, 844, "dark"), (360, 740, "light"), (3840, 2160, "dark")]
STOP = {"program_id": 7, "program_type": "GS", "airport": "KJFK", "status": "ACTIVE", "reason": "WEATHER / Wind",
        "start_time": "2026-01-16T14:00:00Z", "end_time": "2026-01-16T15:00:00Z"}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[[], Tab]]:
    with chromium() as open_tab:
        yield open_tab


@pytest.fixture(scope="module")
def daemon(browser: Callable[[], Tab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("pages") / "home", config="[pages]\nstatus = true\n") as running:
        running.put(*[("flight.created", flight) for flight in FLIGHTS], ("tmi.issued", STOP))
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    return (require_npm_package(*AXE) / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def map_tab(browser: Callable[[], Tab], daemon: LiveDaemon) -> Tab:
    tab = browser()
    tab.look_as(1440, 900)
    sign_in(tab, daemon, daemon.api_key())
    tab.wait_for(f"{SHOWN} === '3'")
    return tab


@pytest.fixture(scope="module")
def ops_tab(browser: Callable[[], Tab], daemon: LiveDaemon) -> Tab:
    tab = browser()
    tab.look_as(1440, 900)
    open_ops(tab, daemon)
    return tab


@pytest.fixture(scope="module")
def status_tab(browser: Callable[[], Tab], daemon: LiveDaemon) -> Tab:
    tab = browser()
    tab.open(f"{origin(daemon)}/status")
    tab.wait_for("document.querySelector('.status').dataset.state === 'up'")
    return tab


OUTSIDE = """[...document.querySelectorAll('button, input, select, h1, h2, [role=status]')].filter((each) => {
  const box = each.getBoundingClientRect();
  const isShown = each.checkVisibility() && box.width > 0 && !each.closest('.scroll, .pane, .card, .unseen');
  return isShown && !each.matches('.unseen') && (box.left < -1 || box.right > innerWidth + 1);
}).map((each) => each.outerHTML.slice(0, 80))"""
COVERED = """[...document.querySelectorAll('.bar button, .bar input, .tools button, .tabs button')].filter((each) => {
  if (!each.checkVisibility()) return false;
  const box = each.getBoundingClientRect();
  const found = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return box.top >= 0 && box.bottom <= innerHeight && !each.contains(found);
}).map((each) => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("name", ["map", pytest.param("ops", marks=pytest.mark.long), "status"])
def test_page_fits_every_screen_and_serves_everybody(
    name: str, request: pytest.FixtureRequest, daemon: LiveDaemon, axe: str
) -> None:
    tab: Tab = request.getfixturevalue(f"{name}_tab")
    tab.call("Page.bringToFront")
    tab.evaluate(axe + "; 0")
    for width, height, theme in LOOKS:
        tab.look_as(width, height, theme=theme)
        tab.wait_for(f"innerWidth === {width} && document.documentElement.dataset.theme === '{theme}'")
        tab.listen(0.2)
        assert tab.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), (width, theme)
        assert tab.evaluate(OUTSIDE) == [], (width, theme)
        assert tab.evaluate(COVERED) == [], (width, theme)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations)")
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found] == [], (width, theme)
    tab.look_as(1440, 900)
    assert tab.complaints == []
    assert {url for url in tab.requests if not url.startswith((origin(daemon), "data:"))} == set()


def test_key_is_in_a_header_and_this_tabs_memory_alone(browser: Callable[[], Tab], daemon: LiveDaemon) -> None:
    tab, key = browser(), daemon.api_key()
    sign_in(tab, daemon, key)
    tab.wait_for(f"{SHOWN} === '3'")
    assert not any(key in url for url in (*tab.requests, *tab.sockets))
    assert all("ticket=" in url for url in tab.sockets)
    holding = [name for headers in tab.headers for name, value in headers.items() if key in value]
    assert set(holding) == {"Authorization"}
    assert key not in tab.evaluate("document.documentElement.outerHTML + location.href + document.cookie")
    assert key not in tab.evaluate("JSON.stringify({...localStorage})")
    assert key in tab.evaluate("JSON.stringify({...sessionStorage})")
    assert not any(key in str(entry) for entry in tab.call("Page.getNavigationHistory")["entries"])
    assert key not in daemon.everything_logged


@pytest.mark.long
def test_map_shows_what_happens_and_says_why_a_flight_is_not_there(map_tab: Tab, daemon: LiveDaemon) -> None:
    tab = map_tab
    tab.call("Page.bringToFront")
    new = {**FLIGHTS[0], "flight_uid": 9, "callsign": "KLM9", "arr": "EHAM"}
    (created,) = daemon.put(("flight.created", new))
    tab.wait_for(f"{SHOWN} === '4'")
    search(tab, "KLM9")
    tab.wait_for("document.querySelector('#card h2')?.textContent === 'KLM9'")
    tab.wait_for("location.hash.includes('flight=KLM9')")
    tab.click("#card .events .link")
    explained = tab.wait_for("document.querySelector('#card .why')?.textContent")
    assert explained.startswith("Sent at"), created
    tab.evaluate("location.hash = '#airport=KJFK&tab=measures'")
    tab.wait_for(f"{SHOWN} === '3'")
    assert "Ground stop" in tab.text("#pane")
    search(tab, "KLM9")
    tab.wait_for("document.querySelector('#card .why-not')")
    assert "Airport must be KJFK, and is EGLL to EHAM" in tab.text("#card")
    tab.evaluate("document.querySelector('#card .why-not .plain').click()")
    tab.wait_for(f"{SHOWN} === '4'")
    daemon.put(("flight.deleted", {"flight_uid": 9, "callsign": "KLM9", "dep": "EGLL", "arr": "EHAM"}))
    tab.wait_for(f"{SHOWN} === '3'")
    search(tab, "KLM9")
    assert "It went away at" in tab.wait_for("document.querySelector('#card .why-not')?.innerText")
    search(tab, "KJFK")
    tab.wait_for("document.querySelector('#board table')")
    assert "DAL2" in tab.text("#board")
    tab.press("Escape")
    assert tab.complaints == []


@pytest.mark.long
def test_map_goes_on_over_a_restart_without_a_hole(map_tab: Tab, daemon: LiveDaemon) -> None:
    tab = map_tab
    tab.call("Page.bringToFront")
    tab.evaluate("location.hash = ''")
    tab.wait_for(f"{SHOWN} === '3'")
    tab.evaluate("document.querySelector('#notice button')?.click()")  # what earlier tests brought up
    tab.wait_for("document.querySelector('#notice').hidden")
    daemon.call("restart")
    daemon.put(("flight.created", {**FLIGHTS[1], "flight_uid": 20, "callsign": "AFR20"}))
    tab.wait_for(f"{SHOWN} === '4'", seconds=60)
    assert tab.evaluate("document.querySelector('#notice').hidden"), "nothing was missing"
    daemon.put(("flight.deleted", {"flight_uid": 20, "callsign": "AFR20"}))
    tab.wait_for(f"{SHOWN} === '3'")
    tab.wait_for(LIVE)


@pytest.mark.long
def test_dashboard_opens_the_operators_page_that_revokes_a_key(
    browser: Callable[[], Tab], daemon: LiveDaemon, tmp_path: Path
) -> None:
    from swimctl.commands.dashboard import write_form

    key = daemon.make_key("partner")
    watching, tab = browser(), browser()
    sign_in(watching, daemon, key.api_key)
    token = daemon.call("dashboard_token")["token"]
    form = write_form(tmp_path / "dashboard.html", f"{origin(daemon)}/ops", token)
    assert form.stat().st_mode & 0o777 == 0o600
    tab.call("Page.bringToFront")
    tab.call("Page.navigate", url=form.as_uri())
    tab.wait_for(f"location.href === {json.dumps(origin(daemon) + '/ops')} && {LIVE}")
    assert not any(token in url for url in tab.requests)
    assert not any(token in entry["url"] for entry in tab.call("Page.getNavigationHistory")["entries"])
    button = f"#keys [data-focus='Revoke-{key.record.id}']"
    tab.wait_for(f"document.querySelector({json.dumps(button)})")
    tab.click(button)
    tab.wait_for("document.querySelector('#ask').open")
    assert daemon.call("live_keys").get(str(key.record.id)) == 1, "nothing is done before it is confirmed"
    tab.type("left the team")
    tab.click("#ask-yes")
    tab.wait_for("document.querySelector('#toast').textContent.includes('1 connections were closed')")
    watching.call("Page.bringToFront")
    watching.wait_for("document.querySelector('#key-dialog').open")
    assert "key" in watching.text("#key-problem").lower()
    assert watching.evaluate("sessionStorage.length") == 0
    assert token not in daemon.everything_logged
    assert tab.complaints == []


@pytest.mark.long
def test_map_says_that_the_service_stopped_and_goes_on_with_the_next_one(
    browser: Callable[[], Tab], tmp_path: Path
) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    tab = browser()
    with _daemon_on(port, tmp_path / "one") as first:
        first.put(("flight.created", FLIGHTS[0]))
        sign_in(tab, first, first.api_key())
        tab.wait_for(f"{SHOWN} === '1'")
        first.call("stop")
        tab.wait_for("document.querySelector('#stage-text').textContent.includes('The service has stopped')")
    with _daemon_on(port, tmp_path / "two") as second:
        second.put(("flight.created", FLIGHTS[1]), ("flight.created", FLIGHTS[2]))
        tab.wait_for("document.querySelector('#key-dialog').open", seconds=60)
        tab.type(second.api_key())
        tab.press("Enter")
        tab.wait_for(LIVE)
        tab.wait_for(f"{SHOWN} === '2'")


@contextmanager
def _daemon_on(port: int, home: Path) -> Iterator[LiveDaemon]:
    daemon = LiveDaemon(home)
    try:
        daemon.start(port=port)
        yield daemon
    finally:
        daemon.finish()


@pytest.mark.long
def test_two_thousand_aircraft_are_drawn_in_time_and_keep_their_memory(
    browser: Callable[[], Tab], tmp_path: Path
) -> None:
    """Hold the script of a frame, by the clock of the renderer's own thread, and the heap."""
    with live_daemon(tmp_path, sources=["simulator?flights=2000&speed=30"]) as daemon:
        tab = browser()
        tab.look_as(1920, 1080)
        sign_in(tab, daemon, daemon.api_key())
        await_true(lambda: int((tab.evaluate(SHOWN) or "0").replace(",", "")) > 1500, seconds=60)
        tab.call("Performance.enable", timeDomain="threadTicks")
        before = _metrics(tab)
        frames = tab.evaluate(
            "new Promise((done) => { let n = 0; const end = performance.now() + 20000;"
            " const step = () => (n += 1, performance.now() < end ? requestAnimationFrame(step) : done(n)); step(); })"
        )
        after = _metrics(tab)
        script_ms = (after["ScriptDuration"] - before["ScriptDuration"]) * 1000 / frames
        print(f"{script_ms:.2f} ms of script a frame, {after['JSHeapUsedSize'] / 1e6:.0f} MB of heap")
        assert script_ms <= 8
        assert after["JSHeapUsedSize"] <= 120e6


def _metrics(tab: Tab) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in tab.call("Performance.getMetrics")["metrics"]}
