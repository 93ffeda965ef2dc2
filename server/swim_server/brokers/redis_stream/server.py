"""Finds the server that keeps our keys, and opens sessions to it: directly, behind Sentinel, or in a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from swim_server.brokers.redis_stream.errors import OutcomeUnknown, ServerRefused, ServerTrouble
from swim_server.brokers.redis_stream.sentinel import Sentinels, read_sentinels
from swim_server.brokers.redis_stream.session import (
    ANSWER_SECONDS,
    Session,
    exchange,
    first_line,
    parse_info,
    run_of,
    translated,
)
from swim_server.config.redaction import url_without_secrets

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

CONNECT_SECONDS = 3.0
SENTINEL_SECONDS = 1.0
HOPS = 3
INSTALL = "pip install 'swimctl[redis]'"


class ServerAddress(msgspec.Struct, frozen=True):
    """The address of the server, and the credentials."""

    url: str
    """``redis://``, ``rediss://``, ``unix://``, or ``redis+sentinel://``, ``rediss+sentinel://``."""
    username: str | None = None
    password: str | None = None

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return url_without_secrets(self.url)


class Server:
    """Opens sessions. Only this class imports the Redis library, and only when it is needed."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self._moved_to: tuple[str, int] | None = None
        """The node of a cluster that keeps our keys."""
        self._others: list[tuple[str, int]] = []
        """The nodes of a cluster, in case the configured one is gone."""

    async def open(self, key: str, *, connect_seconds: float | None = None) -> Session:
        """Connect to the node that keeps ``key``. Raises ServerTrouble, or ServerRefused if retrying does not help.

        ``connect_seconds``: how long until the connection stands, if not as long as until the server has answered.
        """
        url = await self._find_url()
        others = list(self._others)
        for _ in range(HOPS + len(others)):
            connection = self._make_connection(url, self._moved_to, self.address, connect_seconds)
            try:
                return await self._greet(connection, key)
            except BaseException as error:
                await _drop(connection)
                if not self._has_moved(error, others):
                    raise
        raise ServerTrouble(f"{self.address.shown} sends us from one node of its cluster to the next")

    async def _greet(self, connection: AbstractConnection, key: str) -> Session:
        from redis.exceptions import MovedError

        shown = self.address.shown
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                with translated(shown):
                    await connection.connect()  # type: ignore[no-untyped-call]  # the library has no annotations here
            (answer,) = await exchange(connection, [("INFO",)], ANSWER_SECONDS, shown)
            info = parse_info(answer)
            run = run_of(info, shown)
            if info.get("cluster_enabled") == "1":
                (lines,) = await exchange(connection, [("CLUSTER", "NODES")], ANSWER_SECONDS, shown)
                self._others = read_cluster_nodes(lines)
            await exchange(connection, [("EXISTS", key)], ANSWER_SECONDS, shown)
        except MovedError:
            raise
        except TimeoutError:
            raise ServerTrouble(f"{shown} can't be reached within {CONNECT_SECONDS:g} s") from None
        except OutcomeUnknown as error:
            raise ServerTrouble(error.reason) from None
        return Session(connection, run, shown)

    # Sentinel.

    async def _find_url(self) -> str:
        """Return the server's URL: the configured one, or what a sentinel says at the moment."""
        try:
            sentinels = read_sentinels(self.address.url)
        except ValueError as error:
            raise ServerRefused(f"[broker] url {self.address.shown} can't be used: {error}") from None
        if sentinels is None:
            return self.address.url
        troubles: list[str] = []
        for url in sentinels.urls:
            try:
                found = await self._ask_sentinel(url, sentinels)
            except ServerTrouble as error:
                troubles.append(error.reason)
            else:
                if found is not None:
                    return found
                troubles.append(f"{url_without_secrets(url)} watches no master {sentinels.master!r}")
        raise ServerTrouble(f"no sentinel names the server: {'; '.join(troubles)}")

    async def _ask_sentinel(self, url: str, sentinels: Sentinels) -> str | None:
        shown = url_without_secrets(url)
        connection = self._make_connection(url, None, None)
        try:
            async with asyncio.timeout(SENTINEL_SECONDS):
                with translated(shown):
                    await connection.connect()  # type: ignore[no-untyped-call]  # as above
                words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.master)
                (answer,) = await exchange(connection, [words], SENTINEL_SECONDS, shown)
        except TimeoutError:
            raise ServerTrouble(f"{shown} does not answer within {SENTINEL_SECONDS:g} s") from None
        finally:
            await _drop(connection)
        return None if answer is None else sentinels.server_url(answer[0].decode(), int(answer[1]))

    # Connections.

    def _make_connection(
        self,
        url: str,
        place: tuple[str, int] | None,
        login: ServerAddress | None,
        connect_seconds: float | None = None,
    ) -> AbstractConnection:
        try:
            import hiredis  # noqa: F401  # whether it is there
            from redis.asyncio import ConnectionPool
        except ImportError:
            raise ServerRefused(f"[broker] url names a Redis server, and redis-py is missing: {INSTALL}") from None
        options: dict[str, Any] = {
            "socket_timeout": None, "socket_connect_timeout": connect_seconds or CONNECT_SECONDS, "retry": _no_retry(),
            "protocol": 2, "socket_keepalive": True, "health_check_interval": 0,
        }  # fmt: skip
        if url.startswith("unix:"):
            del options["socket_keepalive"]
        try:
            pool = ConnectionPool.from_url(url, **options)
        except ValueError as error:
            raise ServerRefused(f"[broker] url {self.address.shown} can't be used: {first_line(error)}") from None
        if login is not None:
            given = {"username": login.username, "password": login.password}
            pool.connection_kwargs |= {name: value for name, value in given.items() if value is not None}
        if place is not None:
            pool.connection_kwargs |= {"host": place[0], "port": place[1]}
        made: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # as above
        return made

    # A cluster.

    def _has_moved(self, error: BaseException, others: list[tuple[str, int]]) -> bool:
        """Decide where to go on after an error; False: nowhere."""
        from redis.exceptions import MovedError

        if isinstance(error, MovedError):
            self._moved_to = error.host or self._host(), error.port
            return True
        if not isinstance(error, ServerTrouble):
            return False
        if self._moved_to is not None and not others:
            self._moved_to = None  # the node that kept them is gone: ask the configured one
            return True
        if others:
            self._moved_to = others.pop()
            return True
        return False

    def _host(self) -> str:
        return urlsplit(self.address.url).hostname or "localhost"


async def _drop(connection: AbstractConnection) -> None:
    with contextlib.suppress(Exception):  # it is not used again: how it is closed does not matter
        await connection.disconnect(nowait=True)


def read_cluster_nodes(lines: bytes) -> list[tuple[str, int]]:
    """Read the addresses of nodes that are not known to have failed from ``CLUSTER NODES``."""
    found = []
    for line in lines.decode("utf-8", "replace").splitlines():
        fields = line.split(" ")
        host, colon, port = fields[1].partition("@")[0].rpartition(":") if len(fields) > 2 else ("", "", "")
        if host and colon and port.isdecimal() and not {"fail", "noaddr", "handshake"} & set(fields[2].split(",")):
            found.append((host, int(port)))
    return found


def _no_retry() -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 0)
