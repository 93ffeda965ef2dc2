"""The pages as a daemon serves them: to whom, with which headers, and who may do what on the operator's page."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from support.boundary_files import square, write
from support.live_daemon import LiveDaemon, await_true, live_daemon
from swim_server.protocol.codes import ErrorCode
from websockets.sync.client import connect

CONFIG = "[pages]\nstatus = true\n"
OWN = {"X-SWIM-Ops": "1", "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("pages"), config=CONFIG) as running:
        yield running


def ask(
    daemon: LiveDaemon, path: str, body: object = None, headers: Mapping[str, str] = {}, *, method: str = ""
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    try:
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        connection.request(method or ("GET" if data is None else "POST"), path, data, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def token(daemon: LiveDaemon) -> str:
    return str(daemon.call("dashboard_token")["token"])


def session(daemon: LiveDaemon) -> dict[str, str]:
    """The headers of a page that has a session."""
    opened = ask(daemon, "/ops/session", {"token": token(daemon)}, OWN)
    assert opened.status == 204, opened.body
    return {**OWN, "Cookie": opened.headers["set-cookie"].partition(";")[0]}


def dial(stack: ExitStack, daemon: LiveDaemon, api_key: str) -> None:
    """Have a client that was let in, for as long as the stack lasts."""
    client = stack.enter_context(connect(f"{daemon.url}?api_key={api_key}", ping_interval=None, close_timeout=1))
    assert json.loads(client.recv(timeout=20))["type"] == "connected"


# What browsers are sent.


@pytest.mark.parametrize("name", ["map", "ops", "status"])
@pytest.mark.parametrize("prefix", ["", "/api/swim/v1"])
def test_page_runs_its_own_script_alone_and_may_stand_in_no_frame(daemon: LiveDaemon, name: str, prefix: str) -> None:
    answer = ask(daemon, f"{prefix}/{name}", headers={"Accept-Encoding": "gzip"})
    text = gzip.decompress(answer.body).decode()
    policy = answer.headers["content-security-policy"]
    (nonce,) = set(re.findall(r"'nonce-([\w-]{24})'", policy))
    assert text.count(f'nonce="{nonce}"') == 2
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert f'content="{"ws" if prefix else "api/swim/v1/ws"}"' in text
    again = ask(daemon, f"{prefix}/{name}/")
    assert nonce not in again.body.decode()
    assert len(again.body) == len(text.encode())


def test_pages_that_are_switched_off_are_not_there(tmp_path: Path) -> None:
    with live_daemon(tmp_path, config="[pages]\nenabled = false\n") as other:
        for path in ("/map", "/ops", "/ops/session", "/map/airports", "/status", "/status/data"):
            assert ask(other, path).status == 404, path
        assert ask(other, "/healthz").status == 200


def test_status_says_that_it_is_up_and_nothing_else(daemon: LiveDaemon) -> None:
    assert ask(daemon, "/status/data").json == {"up": True, "data_age_seconds": None}


def test_airports_are_told_to_who_has_a_key(daemon: LiveDaemon) -> None:
    assert ask(daemon, "/map/airports?codes=KJFK").status == 401
    found = ask(daemon, "/map/airports?codes=KJFK,ZZZZ,egll", headers={"X-API-Key": daemon.api_key()}).json["airports"]
    assert set(found) == {"KJFK", "egll"}
    assert found["KJFK"]["latitude"] == pytest.approx(40.64, abs=0.05)
    assert found["KJFK"]["longitude"] == pytest.approx(-73.78, abs=0.05)


def test_boundaries_are_sent_to_who_has_a_key_and_kept_by_the_browser(tmp_path: Path) -> None:
    file = write(tmp_path / "boundaries.geojson", ("EGTT", [square(0, 50, 2, 52)]))
    config = f'[detection]\nboundaries = "{file}"\n'
    with live_daemon(tmp_path / "home", config=config) as other:
        assert ask(other, "/map/boundaries").status == 401
        headers = {"X-API-Key": other.api_key()}
        answer = ask(other, "/map/boundaries", headers=headers)
        assert json.loads(gzip.decompress(answer.body))["firs"] == [[0, 5000, 200, 0, 0, 200, -200, 0, 0, -200]]
        assert answer.headers["cache-control"] == "private, no-cache"
        known = {**headers, "If-None-Match": answer.headers["etag"]}
        assert ask(other, "/map/boundaries", headers=known).status == 304
        write(file, ("EGTT", [square(0, 50, 2, 53)]))
        assert ask(other, "/map/boundaries", headers=known).status == 200


def test_map_without_boundaries_is_told_so(daemon: LiveDaemon) -> None:
    answer = ask(daemon, "/map/boundaries", headers={"X-API-Key": daemon.api_key()})
    found = json.loads(gzip.decompress(answer.body))
    assert (found["firs"], found["sectors"], found["problem"]) == ([], [], None)


def test_trails_are_what_history_has(daemon: LiveDaemon) -> None:
    headers = {"X-API-Key": daemon.api_key()}
    assert ask(daemon, "/map/trails").status == 401
    for latitude in (50.0, 51.0):
        place = {"flight_uid": 77, "callsign": "KLM77", "latitude": latitude, "longitude": -8.5}
        daemon.put(("flight.positions", {"count": 1, "positions": [place]}))
    since = datetime.fromtimestamp(time.time() - 60, UTC).isoformat()
    found = ask(daemon, f"/map/trails?flight_uid=77&since={quote(since)}", headers=headers).json
    (trail,) = found["trails"]
    assert [trail[0], *(number / found["units"] for number in trail[2:4])] == [77, 50, -8.5]
    for query, name in (("flight_uid=x", "flight_uid"), ("since=today", "since"), ("flight=1", "UNKNOWN_PARAMETER")):
        refused = ask(daemon, f"/map/trails?{query}", headers=headers)
        assert (refused.status, name in refused.body.decode()) == (400, True), query


def test_licences_are_served(daemon: LiveDaemon) -> None:
    assert b"d3-geo" in ask(daemon, "/map/licences.txt").body


# Who gets in.


def test_nothing_is_answered_without_a_session(daemon: LiveDaemon) -> None:
    for path in ("overview", "keys", "log", "connections", "nodes"):
        assert ask(daemon, f"/ops/data/{path}").status == 401, path
        invented = {"Cookie": "swim_ops=99999999999.aaaaaaaaaaaaaaaa.bb"}
        assert ask(daemon, f"/ops/data/{path}", headers=invented).status == 401, path
    for action in ("close", "expire", "revoke", "reload", "doctor"):
        assert ask(daemon, f"/ops/actions/{action}", {}, OWN).status == 401, action


def test_token_is_good_once_and_its_cookie_reaches_nobody_else(daemon: LiveDaemon) -> None:
    made = token(daemon)
    opened = ask(daemon, "/ops/session", {"token": made}, OWN)
    words = opened.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(words)
    assert not any(word.startswith(("Path", "Domain")) for word in words)
    assert "Secure" not in words
    assert made not in opened.headers["set-cookie"]
    assert ask(daemon, "/ops/session", {"token": made}, OWN).status == 401


def test_cookie_is_for_encrypted_connections_where_the_page_came_by_one(daemon: LiveDaemon) -> None:
    headers = {**OWN, "X-Forwarded-Proto": "https"}
    assert "; Secure" in ask(daemon, "/ops/session", {"token": token(daemon)}, headers).headers["set-cookie"]


def test_form_of_the_dashboards_file_opens_the_page_without_a_token_in_an_address(daemon: LiveDaemon) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "null", "Sec-Fetch-Site": "cross-site"}
    made = token(daemon)
    opened = ask(daemon, "/ops/session", f"token={made}", form)
    assert (opened.status, opened.headers["location"]) == (303, "../ops")
    assert "set-cookie" in opened.headers
    refused = ask(daemon, "/ops/session", f"token={made}", form)
    assert (refused.status, refused.headers["location"]) == (303, "../ops#refused")
    assert "set-cookie" not in refused.headers


def test_session_ends_when_it_is_asked_to(daemon: LiveDaemon) -> None:
    headers = session(daemon)
    assert ask(daemon, "/ops/session", headers=headers).json == {"is_open": True}
    assert ask(daemon, "/ops/logout", {}, headers).status == 200
    assert ask(daemon, "/ops/data/overview", headers=headers).status == 401


# What other sites may do: nothing.


@pytest.mark.parametrize(
    "change",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": None, "Origin": "https://evil.test"},
        {"Sec-Fetch-Site": None, "Origin": "null"},
        {"Sec-Fetch-Site": None},
        {"X-SWIM-Ops": None},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_page_of_another_origin_can_do_nothing_even_with_the_cookie(
    daemon: LiveDaemon, change: Mapping[str, str | None]
) -> None:
    headers = {name: value for name, value in {**session(daemon), **change}.items() if value is not None}
    key = daemon.make_key()
    for action, content in (("revoke", {"key_id": key.record.id}), ("reload", {}), ("doctor", {})):
        assert ask(daemon, f"/ops/actions/{action}", content, headers).status == 403, action
    assert ask(daemon, "/flights", headers={"X-API-Key": key.api_key}).status == 200


def test_page_of_another_origin_can_read_nothing(daemon: LiveDaemon) -> None:
    headers = {**session(daemon), "Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    answer = ask(daemon, "/ops/data/overview", headers=headers)
    assert answer.status == 403
    allowed = ask(daemon, "/ops/actions/revoke", headers=headers, method="OPTIONS")
    for found in (answer, allowed):
        assert not any(name.startswith("access-control") for name in found.headers), found.headers


def test_page_behind_a_proxy_that_names_its_origin_may_act(daemon: LiveDaemon) -> None:
    headers = {**session(daemon), "Origin": f"http://127.0.0.1:{daemon.port}"}
    del headers["Sec-Fetch-Site"]
    assert ask(daemon, "/ops/actions/reload", {}, headers).status == 200


# What it shows and does.


def test_overview_says_whether_a_restart_is_safe_and_why(daemon: LiveDaemon) -> None:
    overview = ask(daemon, "/ops/data/overview", headers=session(daemon)).json
    assert overview["restart"]["answer"] == "yes"
    assert overview["restart"]["reasons"]
    assert overview["status"]["connections"]["by_tier"]["developer"]["limit"] == 50
    assert overview["trends"]
    assert len(overview["trends"][0]) == 9
    assert overview["errors"].keys() <= set(ErrorCode)


def test_service_that_shares_nothing_has_no_nodes_to_show(daemon: LiveDaemon) -> None:
    assert ask(daemon, "/ops/data/nodes", headers=session(daemon)).json["is_shared"] is False


def test_connections_are_sorted_cut_and_searched_by_the_service(daemon: LiveDaemon) -> None:
    headers, key = session(daemon), daemon.make_key("partner")
    path = "/ops/data/connections?tier=partner&sort=since&order=up"
    with ExitStack() as clients:
        for _ in range(30):
            dial(clients, daemon, key.api_key)
        first, second = (ask(daemon, f"{path}&page={number}", headers=headers).json for number in (1, 2))
        assert [first["total"], first["pages"], len(first["rows"]), len(second["rows"])] == [30, 2, 25, 5]
        moments = [row["connected_at"] for row in (*first["rows"], *second["rows"])]
        assert moments == sorted(moments)
        assert {row["owner"] for row in first["rows"]} == {"a test"}
        wanted = first["rows"][3]["id"]
        found = ask(daemon, f"/ops/data/connections?search={wanted}", headers=headers).json["rows"]
        assert [row["id"] for row in found] == [wanted]
        assert ask(daemon, "/ops/actions/close", {"connection": wanted}, headers).json == {"closed": True}
        await_true(lambda: daemon.counted()["partner"] == 29)


@pytest.mark.parametrize("how", ["expire", "revoke"])
def test_key_is_ended_and_who_did_it_from_where_is_kept(daemon: LiveDaemon, how: str) -> None:
    headers, key = session(daemon), daemon.make_key()
    with ExitStack() as clients:
        dial(clients, daemon, key.api_key)
        done = ask(daemon, f"/ops/actions/{how}", {"key_id": key.record.id, "reason": "a test"}, headers).json
        assert (done["is_stored"], done["closed"]) == (True, 1)
        await_true(lambda: not daemon.call("live_keys").get(str(key.record.id)))
    assert daemon._store is not None
    last = daemon._store.audit(key.record.id)[0]
    assert (last.action, last.actor, last.origin) == (how, "the operator's page", "127.0.0.1")
    assert f"key_id={key.record.id}" in daemon.everything_logged
    listed = ask(daemon, f"/ops/data/keys?search={key.record.hint.rpartition('…')[2]}", headers=headers)
    assert key.api_key not in listed.body.decode()


def test_log_lines_go_on_where_the_page_stood(daemon: LiveDaemon) -> None:
    headers = session(daemon)
    first = ask(daemon, "/ops/data/log", headers=headers).json
    assert any("serving" in line for line in first["lines"])
    session(daemon)
    more = ask(daemon, f"/ops/data/log?after={first['last']}", headers=headers).json
    assert 1 <= len(more["lines"]) == more["last"] - first["last"]
    assert ask(daemon, f"/ops/data/log?after={more['last']}", headers=headers).json["lines"] == []


def test_no_token_key_or_session_is_in_the_log(daemon: LiveDaemon) -> None:
    key = daemon.api_key()
    ask(daemon, "/map/airports?codes=KJFK", headers={"X-API-Key": key})
    wrong = "not-the-token-that-it-is"
    ask(daemon, "/ops/session", {"token": wrong}, OWN)
    cookie = session(daemon)["Cookie"].partition("=")[2]
    operator = (daemon.home / "operator.token").read_text("ascii").strip()
    logged = daemon.everything_logged
    assert "the operator's page was opened" in logged
    for secret in (key, wrong, cookie, cookie.rpartition(".")[2], operator):
        assert secret not in logged


def test_session_outlives_a_restart_of_the_service(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as other:
        headers = session(other)
        operator = (other.home / "operator.token").read_text("ascii").strip()
        other.call("restart")
        assert ask(other, "/ops/data/overview", headers=headers).status == 200
        assert ask(other, "/ops/session", {"token": operator}, OWN).status == 204
        other.signal(signal.SIGTERM)
