"""What doctor concludes about the public address, from one client's visit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext
from swim_server.config import Config, ServerConfig
from swim_server.daemon.control.documents.diagnostics import PeerTally

from swimctl.doctor.check import Answer
from swimctl.doctor.checks.front.capacity import judge, one_installation, room_here
from swimctl.doctor.checks.front.endpoint import CHECKS
from swimctl.doctor.checks.front.proxy import LINES, judge_oldest, judge_processes
from swimctl.doctor.probes import public_endpoint
from swimctl.doctor.probes.forged_visit import FORGED_ADDRESS, ForgedVisit
from swimctl.doctor.probes.idle_connection import longer_timeouts
from swimctl.doctor.probes.kernel_sockets import ProxyProcess
from swimctl.doctor.probes.plain_http import proxy_in
from swimctl.doctor.probes.public_endpoint import Certificate, Visit
from swimctl.doctor.probes.wire import Greeting, Target

URL = "wss://swim.example.org/api/swim/v1/ws"
ANSWERS = {"ping": {"type": "pong"}, "subscribe": {"type": "subscribed"}}


@pytest.fixture
def service(tmp_path: Path) -> ServiceContext:
    context = ServiceContext(tmp_path)
    context.config = Config(server=ServerConfig(public_url=URL))
    return context


def let_in(**data: Any) -> Greeting:
    told = {"client_id": "client_1", "server_time": datetime.now(UTC).isoformat()} | data
    return Greeting(True, {"type": "connected", "data": told})


def refused(message: str = "The API key is not known.", code: int = 4001) -> Greeting:
    return Greeting(False, {"type": "error", "code": "AUTH_FAILED", "message": message}, code)


def visited(greeting: Greeting | None = None, **fields: Any) -> Visit:
    values: dict[str, Any] = {"is_ours": True, "answers": ANSWERS, "received": datetime.now(UTC).timestamp()}
    return Visit(True, greeting=greeting or let_in(), **(values | fields))


async def about(service: ServiceContext, id: str, visit: Visit) -> Answer:
    service.known["front.visit"] = visit
    check = next(each for each in CHECKS if each.id == f"front.{id}")
    return await check.ask(service)


@pytest.mark.parametrize("id", [each.id for each in CHECKS])
async def test_without_a_public_address_there_is_nothing_to_ask(tmp_path: Path, id: str) -> None:
    check = next(each for each in CHECKS if each.id == id)
    assert (await check.ask(ServiceContext(tmp_path))).status == "skip"


@pytest.mark.parametrize("id", ["upgrade", "key-header", "same-process", "answers", "clock"])
async def test_client_that_is_met_as_promised_is_well(service: ServiceContext, id: str) -> None:
    assert (await about(service, id, visited())).status == "ok"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "there is no service at this path"),
        (426, "not the upgrade"),
        (502, "does not reach"),
        (418, "HTTP 418"),
        (None, "no WebSocket"),
    ],
)
async def test_refused_upgrade_tells_what_the_proxy_does(
    service: ServiceContext, status: int | None, told: str
) -> None:
    trouble = f"HTTP {status}" if status is not None else "no WebSocket: it closed"
    answer = await about(service, "upgrade", Visit(False, trouble, status))
    assert answer.status == "fail"
    assert told in answer.observed


async def test_address_that_is_held_off_for_bad_keys_proves_nothing(service: ServiceContext) -> None:
    assert (await about(service, "upgrade", Visit(False, "HTTP 429", 429))).status == "unknown"


@pytest.mark.parametrize(
    ("text", "by_query", "status"),
    [
        ("No API key was presented.", False, "fail"),
        ("Invalid API key", True, "fail"),
        ("The API key is not known.", False, "ok"),
    ],
)
async def test_key_that_does_not_arrive_is_told_from_one_that_is_not_known(
    service: ServiceContext, monkeypatch: pytest.MonkeyPatch, text: str, by_query: bool, status: str
) -> None:
    async def query(_: object) -> bool:
        return by_query

    monkeypatch.setattr(public_endpoint, "is_let_in_by_query", query)
    assert (await about(service, "key-header", visited(refused(text)))).status == status


async def test_full_service_says_nothing_about_the_header(service: ServiceContext) -> None:
    full = Greeting(False, {"type": "error", "code": "CONNECTION_LIMIT", "message": "full"}, 4002)
    assert (await about(service, "key-header", visited(full))).status == "unknown"


@pytest.mark.parametrize(
    ("visit", "status"),
    [
        (visited(is_ours=False), "fail"),
        (visited(is_ours=None), "unknown"),
        (visited(refused()), "fail"),
        (visited(refused("No API key was presented.")), "unknown"),
        (visited(refused("full", 4002)), "unknown"),
        (Visit(True, "nothing was said"), "unknown"),
    ],
    ids=range(6),
)
async def test_only_a_connection_that_the_process_knows_is_its_own(
    service: ServiceContext, visit: Visit, status: str
) -> None:
    assert (await about(service, "same-process", visit)).status == status


@pytest.mark.parametrize(
    "answers",
    [
        {}, {"ping": None, "subscribe": None}, {"ping": {}, "subscribe": {}}, {"ping": {"type": 7}},
        ANSWERS | {"ping": {"type": "error"}},
    ],
    ids=range(5),
)  # fmt: skip
async def test_actions_that_are_not_answered_are_named(service: ServiceContext, answers: Any) -> None:
    answer = await about(service, "answers", visited(answers=answers))
    assert answer.status == "fail"
    assert "ping" in answer.observed


@pytest.mark.parametrize(
    ("server_time", "status"),
    [
        ("2020-01-01T00:00:00Z", "warn"), ("yesterday", "fail"), ("", "fail"), (7, "unknown"), (None, "unknown"),
        ("9" * 300, "fail"),
    ],
    ids=range(6),
)  # fmt: skip
async def test_clock_of_the_far_end_is_held_against_ours(
    service: ServiceContext, server_time: Any, status: str
) -> None:
    assert (await about(service, "clock", visited(let_in(server_time=server_time)))).status == status


@pytest.mark.parametrize(
    ("certificate", "status"),
    [
        (Certificate(90, None, "TLSv1.3"), "ok"),
        (Certificate(14, None, "TLSv1.3"), "ok"),
        (Certificate(13, None, "TLSv1.3"), "warn"),
        (Certificate(-1, None, "TLSv1.3"), "warn"),
        (Certificate(None, "certificate has expired"), "fail"),
        (OSError("broken"), "fail"),
        (TimeoutError(), "fail"),
    ],
    ids=range(7),
)
async def test_certificate_is_judged_by_trust_and_days(service: ServiceContext, certificate: Any, status: str) -> None:
    service.known["front.certificate"] = certificate
    assert (await about(service, "certificate", visited())).status == status


@pytest.mark.parametrize(("url", "status"), [("ws://swim.example.org/", "warn"), ("ws://127.0.0.1:8090/", "ok")])
async def test_address_without_encryption_is_well_on_this_machine_only(
    service: ServiceContext, url: str, status: str
) -> None:
    service.config = Config(server=ServerConfig(public_url=url))
    assert (await about(service, "certificate", visited())).status == status


@pytest.mark.parametrize("url", ["", "http://x", "ws://", "x", "wss:///path"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not a ws"):
        Target.parse(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("ws://a", "a", 80), ("wss://a/b", "a", 443), ("ws://[::1]:90/", "::1", 90), ("wss://a:8443/x?y=1", "a", 8443)],
)
def test_address_is_taken_apart(url: str, host: str, port: int) -> None:
    target = Target.parse(url)
    assert (target.host, target.port) == (host, port)


def test_key_in_the_query_joins_what_stands_there() -> None:
    assert Target.parse("wss://a/b?c=d").with_key("k").url == "wss://a/b?c=d&api_key=k"
    assert Target.parse("wss://a/b").with_key("k").url == "wss://a/b?api_key=k"


@pytest.mark.parametrize(
    ("visit", "trusted", "status", "told"),
    [
        (ForgedVisit(believed=FORGED_ADDRESS, peer="127.0.0.1", own="10.0.0.9"), [], "fail", "can say where"),
        (ForgedVisit(believed="10.0.0.9", peer="127.0.0.1", own="10.0.0.9"), [], "ok", "sees 10.0.0.9"),
        (ForgedVisit(believed="127.0.0.1", peer="127.0.0.1", own="10.0.0.9"), ["127.0.0.1"], "warn", "count as one"),
        (ForgedVisit(believed="10.0.0.1", peer="10.0.0.1", own="10.0.0.9"), ["127.0.0.1"], "warn", "count as one"),
        (ForgedVisit(believed="127.0.0.1", peer="127.0.0.1", own="127.0.0.1"), [], "unknown", "another machine"),
        (ForgedVisit(believed=FORGED_ADDRESS, peer="127.0.0.1", is_direct=True), ["127.0.0.1"], "ok", "no proxy"),
        (ForgedVisit(believed="10.0.0.9", peer="127.0.0.1"), ["0.0.0.0/0"], "fail", "every address"),
        (ForgedVisit("HTTP 503"), [], "unknown", "503"),
    ],
    ids=range(8),
)
async def test_forged_address_is_not_to_be_believed(
    service: ServiceContext, visit: ForgedVisit, trusted: list[str], status: str, told: str
) -> None:
    service.config = Config(server=ServerConfig(public_url=URL, trusted_proxies=trusted))
    service.known["front.forged-visit"] = visit
    answer = await about(service, "address", visited())
    assert (answer.status, told in answer.observed) == (status, True), answer


@pytest.mark.parametrize("proxy", LINES)
async def test_line_to_mend_a_proxy_is_its_own(service: ServiceContext, proxy: str) -> None:
    service.known["front.forged-visit"] = ForgedVisit(believed=FORGED_ADDRESS, peer="127.0.0.1", proxy=proxy)
    assert (await about(service, "address", visited())).command == f"{LINES[proxy]}  # {proxy}"


NOW = 1_800_000_000.0
DAY = 86_400.0


def apache(pid: int, *, age: float, connections: int = 0, is_listening: bool = True) -> ProxyProcess:
    return ProxyProcess(pid, "apache", NOW - age, connections, is_listening)


PARENT = apache(1, age=9 * DAY)


@pytest.mark.parametrize(
    ("processes", "max_hours", "status"),
    [
        ([], 0, "skip"),
        ([PARENT, apache(2, age=DAY)], 0, "skip"),
        ([PARENT, apache(2, age=DAY, connections=9)], 0, "ok"),
        ([PARENT, apache(2, age=DAY, connections=9, is_listening=False), apache(3, age=60)], 0, "ok"),
        ([PARENT, apache(2, age=DAY, connections=9, is_listening=False), apache(3, age=7200)], 24, "ok"),
        ([PARENT, apache(2, age=DAY, connections=9, is_listening=False), apache(3, age=7200)], 0, "warn"),
        ([PARENT, apache(2, age=DAY, is_listening=False), apache(3, age=7200, connections=1)], 0, "ok"),
    ],
    ids=["no-proxy", "not-ours", "none-old", "just-reloaded", "they-will-end", "lingering", "old-of-others"],
)
def test_old_processes_of_a_proxy_are_told_once_they_linger(
    processes: list[ProxyProcess], max_hours: float, status: str
) -> None:
    answer = judge_processes(processes, NOW, max_hours)
    assert answer.status == status, answer
    if status == "warn":
        assert "1 old process of apache" in answer.observed
        assert "scoreboard is full" in answer.evidence[0]
        assert "max_connection_hours" in answer.advice[1].command


@pytest.mark.parametrize(
    ("proxy", "age", "max_hours", "status"),
    [
        ("apache", DAY - 1, 0, "ok"), ("apache", 9 * DAY, 0, "warn"), ("apache", 9 * DAY, 24, "ok"),
        ("nginx", 9 * DAY, 0, "ok"), ("nginx", 90 * DAY, 0, "warn"), ("caddy", 90 * DAY, 0, "ok"),
    ],
)  # fmt: skip
def test_proxy_on_another_machine_is_judged_by_its_oldest_connection(
    proxy: str, age: float, max_hours: float, status: str
) -> None:
    answer = judge_oldest(proxy, PeerTally(address="10.0.0.5", connections=9, oldest_seconds=age), max_hours)
    assert answer.status == status, answer
    if status == "warn":
        assert f"{proxy} at 10.0.0.5" in answer.observed
        assert str(answer.command).startswith("swimctl config set server.max_connection_hours")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n", "nginx"),
        ("HTTP/1.1 404 Not Found\r\nDate: x\r\nServer: Apache/2.4.62 (Debian)\r\n\r\n", "apache"),
        ("HTTP/1.1 200 OK\r\nX-Varnish: 32770\r\nServer: uvicorn\r\n\r\n", "varnish"),
        ("HTTP/1.1 200 OK\r\nServer: cloudflare\r\nX-Note: not nginx\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
    ],
    ids=range(5),
)
def test_proxy_is_known_by_the_headers_in_which_it_names_itself(head: str, name: str | None) -> None:
    assert proxy_in(head) == name


def child(
    proxy: str, pid: int, *, connections: int = 20, threads: int = 1, descriptors: int | None = 1024
) -> ProxyProcess:
    return ProxyProcess(pid, proxy, NOW - DAY, connections, True, threads, descriptors)


APACHE_AS_INSTALLED = [PARENT, *(child("apache", pid, threads=52, connections=25) for pid in range(6))]
"""With mod_http2, whose threads are not for tunnels."""
APACHE_WITH_ROOM = [PARENT, *(child("apache", pid, threads=130, connections=15) for pid in range(10))]
APACHE_WITH_SOME_MORE = [PARENT, *(child("apache", pid, threads=27, connections=25) for pid in range(7))]
NGINX_AS_INSTALLED = [child("nginx", pid) for pid in range(3)]
NGINX_WITH_ROOM = [child("nginx", pid, descriptors=20_000) for pid in range(3)]


@pytest.mark.parametrize(
    ("processes", "connections", "status"),
    [
        (APACHE_AS_INSTALLED, 119, "ok"),
        (APACHE_AS_INSTALLED, 120, "warn"),
        (APACHE_AS_INSTALLED, 148, "fail"),
        (APACHE_WITH_ROOM, 148, "ok"),
        (APACHE_WITH_SOME_MORE, 148, "ok"),
        (NGINX_AS_INSTALLED, 600, "ok"),
        (NGINX_AS_INSTALLED, 704, "warn"),
        (NGINX_WITH_ROOM, 704, "ok"),
        ([child("lighttpd", 1)], 200, "ok"),
        ([child("lighttpd", 1)], 341, "warn"),
        ([child("lighttpd", 1, descriptors=16_384)], 341, "ok"),
        ([child("lighttpd", 1, descriptors=None)], 341, "ok"),
        ([child("haproxy", 1)], 9000, "ok"),
    ],
    ids=lambda given: str(given) if isinstance(given, int | str) else f"{given[0].proxy}-{len(given)}",
)
def test_proxy_on_this_machine_that_has_no_room_left_is_told(
    processes: list[ProxyProcess], connections: int, status: str
) -> None:
    proxy = processes[0].proxy
    answer = judge(proxy, connections, room_here(proxy, processes))
    assert answer.status == status, answer
    assert f"{connections:,} through {proxy}" in answer.observed
    if status != "ok":
        assert {"apache": "MaxRequestWorkers", "nginx": "worker_connections", "lighttpd": "max-fds"}[proxy] in str(
            answer.command
        )


@pytest.mark.parametrize(
    ("name", "connections", "status"),
    [
        ("apache", 100, "ok"), ("apache", 130, "warn"), ("apache", 151, "ok"), ("nginx", 740, "ok"),
        ("lighttpd", 300, "warn"), ("lighttpd", 400, "ok"), ("lighttpd", 1300, "warn"), (None, 130, "skip"),
    ],
)  # fmt: skip
async def test_proxy_elsewhere_is_known_by_its_header(
    service: ServiceContext, name: str | None, connections: int, status: str
) -> None:
    peers = [
        {"address": "10.9.9.9", "connections": 900, "oldest_seconds": 9.0},
        {"address": "127.0.0.1", "connections": connections, "oldest_seconds": 9.0},
    ]
    service.answers["tally"] |= {"peers": peers}
    service.known |= {"front.proxy": name, "kernel.proxy-processes": None}
    answer = await about(service, "capacity", visited())
    assert answer.status == status, answer
    assert (await about(service, "old-processes", visited())).status == ("skip" if name is None else "ok")


async def test_without_connections_through_a_proxy_there_is_no_room_to_judge(service: ServiceContext) -> None:
    service.known |= {"kernel.proxy-processes": None}
    assert (await about(service, "capacity", visited())).status == "skip"


def test_hint_about_quiet_connections_names_each_proxy_s_setting() -> None:
    settings = dict(each.split(": ", 1) for each in longer_timeouts(120).split("; ") if ": " in each)
    assert settings.keys() == {"nginx", "Apache", "HAProxy", "lighttpd", "Varnish"}
    assert all("120" in each for each in settings.values()), settings


def test_processes_of_another_nginx_give_this_one_no_room() -> None:
    master, other = ProxyProcess(10, "nginx", NOW, 0, True, parent=1), ProxyProcess(20, "nginx", NOW, 0, True, parent=1)
    ours = [ProxyProcess(pid, "nginx", NOW, 150, True, 1, 1024, 10) for pid in (11, 12)]
    theirs = [ProxyProcess(pid, "nginx", NOW, 0, True, 1, 1024, 20) for pid in (21, 22, 23)]
    assert one_installation([master, *ours, other, *theirs], ours[0]) == [master, *ours]
    single = ProxyProcess(30, "lighttpd", NOW, 9, True, 1, 1024, 1)
    assert one_installation([master, single, ProxyProcess(31, "lighttpd", NOW, 9, True, parent=1)], single) == [single]
