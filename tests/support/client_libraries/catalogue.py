"""The client libraries that are tried, in which version, and how the small program of each is started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.client_libraries import builds, pins
from support.packages import require_program

PYTHON, NODE, GO, JAVA, OTHER = "Python", "JavaScript", "Go", "Java", "other"


@dataclass(frozen=True)
class ClientLibrary:
    """One library, as its own documentation would use it."""

    name: str
    language: str
    version: Callable[[], str]
    prepare: Callable[[], tuple[Sequence[str], dict[str, str]]]
    """Install what is missing; return the words that start the program, and what its environment has more."""
    mode: str = ""
    """One more word for the program: ``await`` when its handler waits without blocking."""
    is_quick: bool = False
    """Belongs to the selection of the normal run."""

    @property
    def slug(self) -> str:
        """The library's name in a URL."""
        return "".join(char if char.isalnum() else "-" for char in f"{self.name} {self.mode}".strip())


def _python(program: str) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    return lambda: ([str(builds.python_environment()), str(pins.PROGRAMS / f"python/{program}.py")], {})


def _qt(version: str) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    def prepare() -> tuple[Sequence[str], dict[str, str]]:
        builds.require_debian(f"python3-pyqt{version}.qtwebsockets")
        return ["/usr/bin/python3", str(pins.PROGRAMS / "python/qt.py")], {"QT_QPA_PLATFORM": "offscreen"}

    return prepare


def _node(program: str, *, node: str | None = None) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    def prepare() -> tuple[Sequence[str], dict[str, str]]:
        modules = builds.node_modules()
        binary = str(builds.node_runtime(node)) if node else require_program("node", "nodejs")
        return [binary, str(pins.PROGRAMS / f"node/{program}.cjs")], {"NODE_PATH": str(modules)}

    return prepare


def _go(program: str) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    return lambda: ([str(builds.go_programs() / program)], {})


def _java(program: str, main: str) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    def prepare() -> tuple[Sequence[str], dict[str, str]]:
        classpath = builds.java_classpath(program, is_jdk=program == "jdk")
        quiet = "-Djava.util.logging.ConsoleHandler.level=OFF"
        return [require_program("java", "default-jre-headless"), "-Xmx128m", quiet, "-cp", classpath, main], {}

    return prepare


def _script(
    interpreter: str, package: str, program: str, *needs: str
) -> Callable[[], tuple[list[str], dict[str, str]]]:
    def prepare() -> tuple[list[str], dict[str, str]]:
        builds.require_debian(*needs)
        return [require_program(interpreter, package), str(pins.PROGRAMS / program)], {}

    return prepare


def _binary(build: Callable[[], Path]) -> Callable[[], tuple[Sequence[str], dict[str, str]]]:
    return lambda: ([str(build())], {})


def _jdk_version() -> str:
    release = Path(os.path.realpath(require_program("javac", "default-jdk-headless"))).parents[1] / "release"
    return release.read_text("utf-8").partition('JAVA_VERSION="')[2].partition('"')[0]


def libraries() -> list[ClientLibrary]:
    """Return all libraries, in the order of the table."""
    return [*_of_python(), *_of_javascript(), *_of_go(), *_of_java(), *_others()]


def _of_python() -> list[ClientLibrary]:
    def entry(name: str, package: str, program: str, *, mode: str = "", is_quick: bool = False) -> ClientLibrary:
        return ClientLibrary(
            name, PYTHON, lambda: pins.python_pin(package), _python(program), mode=mode, is_quick=is_quick
        )

    return [
        entry("websockets, asyncio", "websockets", "websockets_asyncio", is_quick=True),
        entry("websockets, asyncio", "websockets", "websockets_asyncio", mode="await"),
        entry("websockets, threads", "websockets", "websockets_sync", is_quick=True),
        entry("websocket-client", "websocket-client", "websocket_client", is_quick=True),
        entry("aiohttp", "aiohttp", "aiohttp_client", is_quick=True),
        entry("aiohttp", "aiohttp", "aiohttp_client", mode="await"),
        entry("tornado", "tornado", "tornado_client", is_quick=True),
        entry("tornado", "tornado", "tornado_client", mode="await"),
        entry("picows", "picows", "picows_client"),
        entry("httpx-ws (wsproto)", "httpx-ws", "httpx_ws_client"),
        entry("autobahn", "autobahn", "autobahn_client"),
        entry("trio-websocket", "trio-websocket", "trio_websocket_client"),
        entry("trio-websocket", "trio-websocket", "trio_websocket_client", mode="await"),
        entry("simple-websocket", "simple-websocket", "simple_websocket_client"),
        entry("lomond", "lomond", "lomond_client"),
        ClientLibrary("Qt 5 (PyQt)", PYTHON, lambda: pins.debian_version("libqt5websockets5"), _qt("5"), mode="5"),
        ClientLibrary("Qt 6 (PyQt)", PYTHON, lambda: pins.debian_version("libqt6websockets6"), _qt("6"), mode="6"),
    ]


def _of_javascript() -> list[ClientLibrary]:
    def entry(
        name: str, package: str, program: str, *, node: str | None = None, mode: str = "", is_quick: bool = False
    ) -> ClientLibrary:
        return ClientLibrary(
            name,
            NODE,
            lambda: pins.npm_pin(package),
            _node(program, node=node),
            mode=mode,
            is_quick=is_quick,
        )

    return [
        entry("ws", "ws", "ws", is_quick=True),
        entry("undici", "undici", "standard", mode="undici", is_quick=True),
        entry("node 22, built in", "node22", "standard", node="node22", mode="node"),
        entry("node 24, built in", "node24", "standard", node="node24", mode="node"),
        entry("faye-websocket (npm)", "faye-websocket", "standard", mode="faye", is_quick=True),
        entry("websocket (npm)", "websocket", "standard", mode="websocket", is_quick=True),
    ]


def _of_go() -> list[ClientLibrary]:
    def entry(name: str, module: str, program: str) -> ClientLibrary:
        return ClientLibrary(name, GO, lambda: pins.go_pin(module), _go(program))

    return [
        entry("gorilla/websocket", "github.com/gorilla/websocket", "gorilla"),
        entry("coder/websocket", "github.com/coder/websocket", "coder"),
        entry("nhooyr.io/websocket", "nhooyr.io/websocket", "nhooyr"),
        entry("gobwas/ws", "github.com/gobwas/ws", "gobwas"),
        entry("x/net/websocket", "golang.org/x/net", "xnet"),
    ]


def _of_java() -> list[ClientLibrary]:
    def entry(name: str, program: str, main: str) -> ClientLibrary:
        return ClientLibrary(name, JAVA, lambda: pins.maven_coordinates(program)[2], _java(program, main))

    return [
        ClientLibrary("java.net.http", JAVA, _jdk_version, _java("jdk", "Jdk")),
        entry("Java-WebSocket", "java_websocket", "JavaWebSocket"),
        entry("OkHttp", "okhttp", "OkHttp"),
        entry("Tyrus", "tyrus", "Tyrus"),
        entry("Tomcat (Spring)", "tomcat", "Tomcat"),
        entry("Jetty", "jetty", "Jetty"),
    ]


def _others() -> list[ClientLibrary]:
    def debian(name: str, language: str, package: str, prepare: Callable[..., object]) -> ClientLibrary:
        return ClientLibrary(name, language, lambda: pins.debian_version(package), prepare)  # type: ignore[arg-type]  # each language prepares in its own way

    faye = _script("ruby", "ruby", "ruby/faye.rb", "ruby", "ruby-faye-websocket")
    mojo = _script("perl", "perl", "perl/mojo.pl", "libmojolicious-perl")
    event = _script("perl", "perl", "perl/anyevent.pl", "libanyevent-websocket-client-perl")
    soup = _binary(lambda: builds.c_program("libsoup", "libsoup-3.0-dev", pkg_config="libsoup-3.0"))
    lws = _binary(lambda: builds.c_program("libwebsockets", "libwebsockets-dev", pkg_config="libwebsockets"))
    plus = _binary(
        lambda: builds.cpp_program(
            "websocketpp", "libwebsocketpp-dev", "libboost-dev", "libboost-system-dev", "zlib1g-dev",
            libraries=("boost_system", "pthread", "z"),
        )
    )  # fmt: skip
    beast = _binary(lambda: builds.cpp_program("beast", "libboost-dev", libraries=("pthread",)))
    tungstenite = _binary(lambda: builds.rust_program("tungstenite_client"))
    return [
        debian("faye-websocket (gem)", "Ruby", "ruby-faye-websocket", faye),
        debian("Mojolicious", "Perl", "libmojolicious-perl", mojo),
        debian("AnyEvent::WebSocket::Client", "Perl", "libanyevent-websocket-client-perl", event),
        debian("libsoup 3", "C", "libsoup-3.0-0", soup),
        debian("libwebsockets", "C", "libwebsockets-dev", lws),
        debian("websocketpp", "C++", "libwebsocketpp-dev", plus),
        debian("Boost.Beast", "C++", "libboost-dev", beast),
        ClientLibrary("tungstenite", "Rust", lambda: pins.cargo_pin("tungstenite"), tungstenite),
    ]
