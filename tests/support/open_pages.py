"""Opens the pages of a daemon in a browser, as a person would."""

from __future__ import annotations

from typing import Any

from support.chromium import Tab
from support.live_daemon import LiveDaemon

LIVE = "document.querySelector('#stage')?.dataset.stage === 'live'"
SHOWN = "document.querySelector('#counts strong')?.textContent"
FLIGHTS: list[dict[str, Any]] = [
    {"flight_uid": 1, "callsign": "BAW1", "dep": "EGLL", "arr": "KJFK", "latitude": 51.0, "longitude": -8.0,
     "altitude_ft": 36_000, "groundspeed_kts": 460, "heading_deg": 280, "phase": "ENROUTE", "current_artcc": "EISN"},
    {"flight_uid": 2, "callsign": "DAL2", "dep": "KJFK", "arr": "EGLL", "latitude": 48.0, "longitude": -30.0,
     "altitude_ft": 37_000, "groundspeed_kts": 480, "heading_deg": 80, "phase": "ENROUTE", "current_artcc": "EGGX"},
    {"flight_uid": 3, "callsign": "UAL3", "dep": "KJFK", "arr": "KSFO", "latitude": 40.64, "longitude": -73.78,
     "altitude_ft": 10, "groundspeed_kts": 0, "heading_deg": 40, "phase": "PREFLIGHT", "current_artcc": "ZNY"},
]  # fmt: skip


def origin(daemon: LiveDaemon) -> str:
    """Return the address that the pages of a daemon have in common."""
    return f"http://127.0.0.1:{daemon.port}"


def sign_in(tab: Tab, daemon: LiveDaemon, key: str, view: str = "", *, at: str | None = None) -> None:
    """Open the map and type the key."""
    tab.call("Page.bringToFront")
    tab.open(f"{at or origin(daemon)}/map{view}")
    tab.wait_for("document.querySelector('#key-dialog').open")
    tab.type(key)
    tab.press("Enter")
    tab.wait_for(LIVE)


def open_ops(tab: Tab, daemon: LiveDaemon, *, at: str | None = None) -> str:
    """Open the operator's page with a one-time token, which is returned."""
    token = str(daemon.call("dashboard_token")["token"])
    tab.call("Page.bringToFront")
    tab.call("Network.clearBrowserCookies")  # of another daemon on this machine, or an older session
    tab.open(f"{at or origin(daemon)}/ops")
    tab.wait_for("document.querySelector('#sign-in').open")
    tab.type(token)
    tab.press("Enter")
    tab.wait_for(LIVE)
    return token


def search(tab: Tab, words: str) -> None:
    """Look for a flight or an airport on the map."""
    tab.evaluate("document.querySelector('#search-text').value = ''")
    tab.evaluate("document.querySelector('#search-text').focus()")
    tab.type(words)
    tab.press("Enter")
