"""The service behind six real proxies, each with the configuration in ``config/`` that is meant for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import uvloop
from support.http2_tunnel import Http2Tunnel, NotOffered
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.packages import INSTALL_SECONDS, missing, require_program
from support.proxies import PROXIES, Caddy, running_proxy
from support.proxy import HOST, PAGE, Proxy
from support.tunnels import TunnelPool
from support.wire_client import WireClient, dial
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.extensions.permessage_deflate import PerMessageDeflate

from swimctl.doctor.probes.kernel_sockets import proxy_processes

pytestmark = pytest.mark.unmeasured

T = TypeVar("T")

PATHS = ("/", "/api/swim/v1/ws", "/api/swim/v1/ws/", "/ws/swim/v1", "/ws/swim/v1/", "/?client=test")
MANY_CONNECTIONS = "[tiers.system]\nconnections = 10000\nconnections_per_key = 10000\n"
TUNNELS = [pytest.param(250, id="250"), pytest.param(1200, id="1200", marks=pytest.mark.long)]
"""More than Apache's default has room for; and as many as a busy evening brings."""
CLIENT_ADDRESS = "127.0.0.2"
"""A client's own; 127.0.0.1 is the proxy's."""
FORGED_ADDRESS = "203.0.113.9"
QUIET_SECONDS = 2
"""In place of the shipped 120 s, in the tests that wait for longer than that."""


class Stand(NamedTuple):
    """A service and a proxy in front of it."""

    daemon: LiveDaemon
    proxy: Proxy
    key: str

    def dial(self, path: str = "/api/swim/v1/ws", **options: Any) -> Any:
        return dial_through(self.proxy, path, options.pop("key", self.key), **options)

    def tunnels(self) -> TunnelPool:
        return TunnelPool(
            self.proxy.port, self.key, tls=self.proxy.tls if self.proxy.has_tls else None, host=HOST, paths=PATHS
        )


def dial_through(proxy: Proxy, path: str, key: str | None, **options: Any) -> Any:
    """Connect to the proxy as a client elsewhere would: by name, from an address of its own."""
    tls = {"ssl": proxy.tls} if proxy.has_tls else {}
    return dial(
        proxy.url + path, key, host="127.0.0.1", port=proxy.port, local_addr=(CLIENT_ADDRESS, 0), **tls, **options
    )


@pytest.fixture(scope="module", params=PROXIES)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home = tmp_path_factory.mktemp("home")
    with live_daemon(home, config=MANY_CONNECTIONS) as daemon, running_proxy(request.param, daemon.port) as proxy:
        yield Stand(daemon, proxy, daemon.api_key("system"))


@pytest.fixture
def serving(stand: Stand) -> Stand:
    """The stand with its service up, whatever the test before has done to it."""
    if not stand.daemon.is_serving:
        stand.daemon.start(port=stand.proxy.backend_port)
    return stand


def take_down(daemon: LiveDaemon) -> None:
    """Stop the service, whichever process serves by now."""
    daemon.swimctl("stop", check=True)
    await_true(lambda: not daemon.is_serving, what="the stop")
    daemon.ended()


def run(story: Callable[[], Awaitable[T]]) -> T:
    async def in_time() -> T:
        return await asyncio.wait_for(story(), 60)

    return uvloop.run(in_time())


def test_the_three_paths_lead_to_the_service_and_other_pages_are_the_sites(serving: Stand) -> None:
    async def connect_each() -> list[str]:
        reached = []
        for path in PATHS:
            async with serving.dial(path) as client:
                assert (await client.ask("ping"))["type"] == "pong"
                reached.append(path)
        return reached

    assert run(connect_each) == list(PATHS)
    for path in ("/", "/?a=b", "/index.html"):
        status, _, body = serving.proxy.get(path)
        assert (status, body.decode()) == (200, PAGE), path
    assert serving.proxy.get("/metrics")[0] == 404


def test_plain_http_reaches_the_service(serving: Stand) -> None:
    for path in ("/healthz", "/readyz", "/api/swim/v1/flights", "/api/swim/v1/openapi.json?a=b"):
        status, _, body = serving.proxy.get(path)
        with socket.create_connection(("127.0.0.1", serving.daemon.port), 10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            direct = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, expected = direct.partition(b"\r\n\r\n")
        assert status == int(head.split(b" ")[1]), path
        assert expected[:20] in body, path


def test_a_forged_forwarding_header_is_not_believed(serving: Stand) -> None:
    forged = {"X-Forwarded-For": FORGED_ADDRESS, "Forwarded": f"for={FORGED_ADDRESS}", "X-Real-IP": FORGED_ADDRESS}

    async def seen() -> set[str]:
        async with serving.dial(headers=forged) as first, serving.dial("/", headers=forged) as second:
            await first.subscribe("tmi.*")
            await second.subscribe("tmi.*")
            done = await asyncio.to_thread(serving.daemon.swimctl, "connections", "list", "--json", check=True)
            return {each["remote"] for each in json.loads(done.stdout) if each["tier"] == "system"}

    assert run(seen) == {CLIENT_ADDRESS}


UNNAMING = {
    "nginx": ("    proxy_set_header X-Forwarded-For $remote_addr;\n", "", "fail"),
    "haproxy": ("    http-request set-header X-Forwarded-For %[src]\n", "", "fail"),
    "apache": ("    RequestHeader unset X-Forwarded-For early\n", "    ProxyAddHeaders Off\n", "fail"),
    "caddy": ("header_up -Forwarded\n", "header_up -X-Forwarded-For\n", "warn"),
    "lighttpd": ('"X-Forwarded-For" => ""', '"X-Swim" => ""', "ok"),  # it appends: the last one is the client's own
    "varnish": ("set req.http.X-Forwarded-For = client.ip;", "unset req.http.X-Forwarded-For;", "warn"),
}
"""By proxy: a text of the shipped file, what stands in its place where somebody got it wrong, and what doctor says."""


def front_checks(daemon: LiveDaemon, proxy: Proxy, *, sees_processes: bool = True) -> dict[str, dict[str, Any]]:
    """What doctor finds at the public address, whose name it finds in a file of hosts of its own.

    Without ``sees_processes`` those of the proxy are hidden from it, as if they ran on another machine.
    """
    hosts, authority = proxy.write("hosts", f"127.0.0.1 {HOST} localhost\n"), proxy.folder / "authority.pem"
    shown = proxy_processes(daemon.status()["pid"], daemon.port) or []
    hidden = "" if sees_processes else " ".join(f"&& mount -t tmpfs none /proc/{each.pid}" for each in shown)
    words = ["unshare", "-m", "sh", "-c", f'mount --bind "$0" /etc/hosts {hidden} && exec "$@"', str(hosts)]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        missing("nobody may give a process a file of hosts of its own here: run as root")
    done = subprocess.run(
        [*words, sys.executable, "-m", "swimctl", "doctor", "--only", "front", "--json", "--timeout", "60"],
        env=daemon.environ | {"SSL_CERT_FILE": str(authority), "SWIM_SERVER__PUBLIC_URL": proxy.url + PATHS[1]},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return {each["id"]: each for each in json.loads(done.stdout)["checks"]}


def test_doctor_finds_nothing_wrong_behind_the_shipped_file(serving: Stand) -> None:
    found = front_checks(serving.daemon, serving.proxy)
    expected = {"front.certificate": "ok" if serving.proxy.has_tls else "warn"}
    told = {id: (each["status"], each["observed"]) for id, each in found.items() if each["status"] != "skip"}
    assert {id: status for id, (status, _) in told.items()} == dict.fromkeys(told, "ok") | expected, told
    assert "and not the forged address" in found["front.address"]["observed"]
    assert "front.answers" in told


def test_doctor_tells_a_proxy_behind_which_nobody_knows_where_clients_come_from(serving: Stand) -> None:
    name = serving.proxy.name
    shipped, wrong, status = UNNAMING[name]
    with running_proxy(name, serving.daemon.port, edits={shipped: wrong}) as proxy:
        found = front_checks(serving.daemon, proxy)["front.address"]
    assert found["status"] == status, found
    if status != "ok":
        (advice,) = found["advice"]
        assert name in advice["command"]
        assert "X-Forwarded-For" in advice["command"]


@pytest.mark.long
def test_doctor_knows_a_proxy_elsewhere_by_its_header(serving: Stand) -> None:
    """HAProxy sends none."""

    async def beside_a_client() -> dict[str, dict[str, Any]]:
        async with serving.dial():
            return await asyncio.to_thread(front_checks, serving.daemon, serving.proxy, sees_processes=False)

    found = run(beside_a_client)
    for id in ("front.capacity", "front.old-processes"):
        if serving.proxy.name == "haproxy":
            assert (found[id]["status"], "itself" in found[id]["observed"]) == ("skip", True), found[id]
        else:
            assert (found[id]["status"], serving.proxy.name in found[id]["observed"]) == ("ok", True), found[id]


AS_INSTALLED = {
    "apache": (
        {
            "StartServers           8": "StartServers 2", "MinSpareThreads        512": "MinSpareThreads 25",
            "MaxSpareThreads        2048": "MaxSpareThreads 75", "ThreadsPerChild        64": "ThreadsPerChild 25",
            "ServerLimit            128": "ServerLimit 16", "MaxRequestWorkers      2048": "MaxRequestWorkers 150",
        },
        125, "MaxRequestWorkers 2048",
    ),
    "nginx": ({"nofile 20000": "nofile 1024", "connections 8192": "connections 768"}, 640, "worker_connections 8192"),
    "lighttpd": ({"max-fds = 16384": "max-fds = 1024", "connections = 5000": "connections = 341"}, 300, "max-fds = 16"),
}  # fmt: skip
"""By proxy: what takes back the room that the shipped file gives it, so many tunnels, and what doctor advises then."""


@pytest.mark.long
@pytest.mark.parametrize("name", AS_INSTALLED)
def test_doctor_warns_before_a_proxy_as_it_is_installed_is_full(name: str, tmp_path: Path) -> None:
    edits, tunnels, advice = AS_INSTALLED[name]
    with live_daemon(tmp_path, config=MANY_CONNECTIONS) as daemon, running_proxy(name, daemon.port, edits=edits) as own:
        stand = Stand(daemon, own, daemon.api_key("system"))

        async def story() -> dict[str, dict[str, Any]]:
            async with stand.tunnels() as pool:
                assert await pool.open(tunnels) > tunnels - 20  # one of nginx's workers may be full before the other
                return await asyncio.to_thread(front_checks, daemon, own)

        found = run(story)["front.capacity"]
        assert found["status"] == "warn", found
        assert advice in found["advice"][0]["command"]


@pytest.mark.long
def test_doctor_names_apaches_limit_when_nobody_else_gets_in(tmp_path: Path) -> None:
    edits, _, advice = AS_INSTALLED["apache"]
    with (
        live_daemon(tmp_path, config=MANY_CONNECTIONS) as daemon,
        running_proxy("apache", daemon.port, edits=edits) as own,
    ):
        stand = Stand(daemon, own, daemon.api_key("system"))

        async def story() -> dict[str, dict[str, Any]]:
            async with stand.tunnels() as pool:
                assert await pool.open(150) == 150
                return await asyncio.to_thread(front_checks, daemon, own)

        found = run(story)
        assert found["front.capacity"]["status"] == "fail", found
        assert advice in found["front.capacity"]["advice"][0]["command"]
        assert found["front.certificate"]["cause"] == "front.capacity", "doctor's own visit waits behind the others"


def test_compression_is_negotiated_through_the_proxy(serving: Stand) -> None:
    async def compressed() -> tuple[bool, dict[str, Any]]:
        async with serving.dial() as client:
            await client.subscribe("tmi.*")
            serving.daemon.put(("tmi.issued", {"program_id": 1, "reason": "x" * 5000}))
            (event,) = await client.events(1)
            return any(isinstance(each, PerMessageDeflate) for each in client.connection.protocol.extensions), event

    is_compressed, event = run(compressed)
    assert is_compressed
    assert event["data"]["reason"] == "x" * 5000


def test_websockets_over_http2_work_where_the_proxy_offers_them(serving: Stand) -> None:
    async def ask_over_http2() -> str:
        answers = []
        for path in ("/api/swim/v1/ws", "/", "/ws/swim/v1/"):
            tunnel = Http2Tunnel(HOST, serving.proxy.port, serving.proxy.tls)
            try:
                await tunnel.open(path, serving.key)
                assert (await tunnel.next())["type"] == "connected"
                answers.append((await tunnel.ask(action="ping"))["type"])
            finally:
                await tunnel.close()
        return " ".join(answers)

    if not serving.proxy.has_tls:
        pytest.skip(f"{serving.proxy.name} ends no TLS")
    if serving.proxy.offers_websocket_over_http2:
        assert run(ask_over_http2) == "pong pong pong"
    else:
        with pytest.raises(NotOffered):
            run(ask_over_http2)


LEAVES_OLD_PROCESSES = ("apache", "nginx", "haproxy")
"""At a reload: for as long as their connections last."""


def in_old_processes(serving: Stand) -> int:
    """The connections to the service that doctor finds in processes which the proxy has replaced."""
    found = proxy_processes(serving.daemon.status()["pid"], serving.daemon.port)
    assert found is not None
    return sum(each.connections for each in found if not each.is_listening)


@pytest.mark.parametrize("tunnels", TUNNELS)
def test_tunnels_outlive_a_reload_until_a_restart_closes_them_with_1012(serving: Stand, tunnels: int) -> None:
    """Caddy without its newer setting closes them at the reload, with 1001: its file says so."""

    async def story() -> None:
        async with serving.tunnels() as pool, serving.tunnels() as late:
            assert await pool.open(tunnels) == tunnels
            began = time.monotonic()
            assert serving.proxy.get("/")[2].decode() == PAGE
            assert time.monotonic() - began < 5, "pages wait for tunnels"
            serving.daemon.put(("tmi.issued", {"program_id": 2}))
            assert await pool.received(1) == {1: tunnels}
            await asyncio.to_thread(serving.proxy.reload)
            if serving.proxy.keeps_tunnels_at_reload:
                assert await late.open(20) == 20
                assert pool.alive == tunnels
                if serving.proxy.name in LEAVES_OLD_PROCESSES:
                    await asyncio.to_thread(
                        await_true, lambda: in_old_processes(serving) >= tunnels, what="its old ones"
                    )
                await asyncio.to_thread(serving.daemon.swimctl, "restart", check=True)
                assert await pool.close_codes() == {1012: tunnels}
            else:
                assert await pool.close_codes() == {1001: tunnels}
                assert await late.open(20) == 20
                await asyncio.to_thread(serving.daemon.swimctl, "restart", check=True)
            assert await late.close_codes() == {1012: 20}
        async with serving.dial() as client:
            assert (await client.ask("ping"))["type"] == "pong"

    run(story)


def test_while_the_service_is_down_the_answer_is_503_and_once_it_is_back_clients_get_in_at_once(serving: Stand) -> None:
    take_down(serving.daemon)
    status, headers, body = serving.proxy.get("/healthz")
    assert status == 503
    if serving.proxy.tells_when_to_retry:
        assert (headers["retry-after"], json.loads(body)["code"]) == ("1", "UNAVAILABLE")

    async def refused() -> int | None:
        try:
            async with serving.dial():
                return 101
        except InvalidStatus as error:
            return error.response.status_code
        except InvalidMessage:
            return None

    async def let_in() -> str:
        # lighttpd, told not to wait at all, still asks again only when its second is over; the others do so at once.
        deadline = time.monotonic() + (5 if serving.proxy.name == "lighttpd" else 0)
        while True:
            try:
                async with serving.dial() as client:
                    return str((await client.ask("ping"))["type"])
            except InvalidStatus:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(0.2)

    assert run(refused) == (503 if serving.proxy.answers_websockets_without_service else None)
    serving.daemon.start(port=serving.proxy.backend_port)
    assert run(let_in) == "pong"


def test_no_key_stands_in_the_proxys_logs(serving: Stand) -> None:
    """In the query, where browsers must put it, and in headers; while the service is up, and while it is not."""
    query = f"/api/swim/v1/ws?api_key={serving.key}"

    async def come_and_go() -> None:
        async with serving.dial(query, key=None), serving.dial("/?key=" + serving.key, key=None):
            pass
        async with serving.dial(headers={"X-SWIM-API-Key": serving.key}, key=None):
            pass

    async def in_vain() -> None:
        with pytest.raises((InvalidStatus, InvalidMessage)):
            async with serving.dial(query, key=None, headers={"X-SWIM-API-Key": serving.key}):
                pass

    run(come_and_go)
    take_down(serving.daemon)
    run(in_vain)
    serving.proxy.get(query)
    await_true(lambda: "503" in serving.proxy.logged or serving.proxy.name == "varnish", what="a line in the log")
    assert serving.key not in serving.proxy.logged
    if serving.proxy.name == "lighttpd":
        assert "handlers for /api/swim/v1/ws on" in serving.proxy.logged, "its error log goes through a filter"


# Quiet tunnels: all proxies at once, as the tests only wait.


def quiet_tunnels(home: Path, heartbeat_seconds: float, seconds: float) -> dict[str, str]:
    """A client behind each proxy, all quiet for so many seconds: what each finds then."""
    config = f"[server]\nheartbeat_seconds = {heartbeat_seconds}\n"
    with live_daemon(home, config=config) as daemon, ExitStack() as stack:
        key = daemon.api_key("system")
        proxies = [
            stack.enter_context(running_proxy(name, daemon.port, quiet_seconds=QUIET_SECONDS)) for name in PROXIES
        ]

        async def wait(proxy: Proxy) -> str:
            async with dial_through(proxy, "/api/swim/v1/ws", key, ping_interval=None) as client:
                await asyncio.sleep(seconds)
                return await _answer_of(client)

        async def all_of_them() -> dict[str, str]:
            found = await asyncio.gather(*(wait(proxy) for proxy in proxies))
            return dict(zip(PROXIES, found, strict=True))

        return run(all_of_them)


async def _answer_of(client: WireClient) -> str:
    try:
        return str((await client.ask("ping"))["type"])
    except ConnectionClosed:
        return "cut"


def test_heartbeats_keep_quiet_tunnels_open_beyond_the_proxys_timeout(tmp_path: Path) -> None:
    assert quiet_tunnels(tmp_path, QUIET_SECONDS / 4, 2.5 * QUIET_SECONDS) == dict.fromkeys(PROXIES, "pong")


def test_the_timeout_of_the_file_is_the_one_that_cuts_quiet_tunnels(tmp_path: Path) -> None:
    """So the values in the files are the right ones to change; Caddy has none."""
    expected = {name: "cut" if proxy.timeout_text else "pong" for name, proxy in PROXIES.items()}
    assert quiet_tunnels(tmp_path, 3600, 2.5 * QUIET_SECONDS) == expected


class Dripping(BaseHTTPRequestHandler):
    """Streams one event, and another only when it is told that the first has come."""

    has_come = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        self.has_come.wait(10)
        self.wfile.write(b"data: last\n\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("name", PROXIES)
def test_streamed_answers_are_not_held_back(name: str) -> None:
    Dripping.has_come = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with running_proxy(name, server.server_address[1]) as proxy:
            plain = socket.create_connection(("127.0.0.1", proxy.port), 10)
            line = proxy.tls.wrap_socket(plain, server_hostname=HOST) if proxy.has_tls else plain
            with line:
                line.settimeout(5)
                line.sendall(
                    f"GET /api/swim/v1/stream HTTP/1.1\r\nHost: {HOST}:{proxy.port}\r\n"
                    "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()
                )
                received = b""
                while b"data: first" not in received:
                    more = line.recv(65_536)
                    assert more, received
                    received += more
                assert b"data: last" not in received
                Dripping.has_come.set()
    finally:
        Dripping.has_come.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.long
def test_apache_has_room_for_three_reloads_with_all_tunnels_open(tmp_path: Path) -> None:
    """Old children live on with their tunnels, and each takes one of the places of ServerLimit."""
    with live_daemon(tmp_path, config=MANY_CONNECTIONS) as daemon, running_proxy("apache", daemon.port) as proxy:
        stand = Stand(daemon, proxy, daemon.api_key("system"))

        async def story() -> None:
            async with stand.tunnels() as pool:
                assert await pool.open(500) == 500
                for _ in range(3):
                    await asyncio.to_thread(proxy.reload)
                    await asyncio.sleep(1)
                    assert await pool.open(500) == 500
                assert pool.alive == 2000
                assert "scoreboard is full" not in proxy.logged

        run(story)


@pytest.mark.long
def test_tunnels_outlive_a_reload_of_a_newer_caddy_with_its_setting(tmp_path: Path) -> None:
    """What the Caddyfile advises for Caddy 2.7 and newer; Debian 12 has 2.6, so this one is built."""
    caddy = newer_caddy()

    class NewerCaddy(Caddy):
        def changes(self) -> dict[str, str]:
            self.path = str(caddy)
            return {**super().changes(), "# stream_close_delay 24h": "stream_close_delay 24h"}

    folder = Path(tempfile.mkdtemp(prefix="swim-proxy-"))
    try:
        with live_daemon(tmp_path, config=MANY_CONNECTIONS) as daemon:
            proxy = NewerCaddy(folder, daemon.port)
            proxy.start()
            try:
                stand = Stand(daemon, proxy, daemon.api_key("system"))

                async def story() -> None:
                    async with stand.tunnels() as pool:
                        assert await pool.open(100) == 100
                        await asyncio.to_thread(proxy.reload)
                        await asyncio.sleep(1)
                        assert pool.alive == 100
                        await asyncio.to_thread(daemon.swimctl, "restart", check=True)
                        assert await pool.close_codes() == {1012: 100}

                run(story)
            finally:
                proxy.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def newer_caddy() -> Path:
    """The program, built with Go's own client and kept from one run to the next."""
    folder = Path(tempfile.gettempdir()) / "swim-tests-caddy-2.10.2"
    program = folder / "caddy"
    if not program.exists():
        go = require_program("go", "golang")
        done = subprocess.run(
            [go, "install", "github.com/caddyserver/caddy/v2/cmd/caddy@v2.10.2"], check=False, capture_output=True,
            timeout=INSTALL_SECONDS, env=os.environ | {"GOBIN": str(folder)},
        )  # fmt: skip
        if done.returncode != 0:
            missing(f"Caddy can't be built: {done.stderr.decode(errors='replace')[-200:]}")
    return program
