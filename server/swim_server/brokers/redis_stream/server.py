"""Connections to the server: each is to one run of one server, is never reopened, and is closed at any trouble."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.redis_stream.errors import OutcomeUnknown, ServerRefused, ServerTrouble
from swim_server.config.redaction import url_without_secrets

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from swim_server.brokers.redis_stream.scripts import Script

OLDEST_VERSION = (6, 2)
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
INSTALL = "pip install 'swimctl[redis]'"
_REFUSALS = ("WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password", "called without any password")


Word = str | bytes | int | float
"""A word of a command."""


class ServerAddress(msgspec.Struct, frozen=True):
    """The address of the server, and the credentials."""

    url: str
    """``redis://``, ``rediss://`` or ``unix://``."""
    username: str | None = None
    password: str | None = None

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return url_without_secrets(self.url)


class ServerRun(msgspec.Struct, frozen=True):
    """The server, and the run of it, that a connection is to."""

    id: str
    version: str


class Session:
    """One connection. Once broken it stays broken; calls wait for each other."""

    def __init__(self, connection: AbstractConnection, run: ServerRun, shown: str) -> None:
        self.run = run
        self._connection = connection
        self._shown = shown
        self._turn = asyncio.Lock()
        self._is_broken = False

    @property
    def is_broken(self) -> bool:
        """Whether a new session is needed."""
        return self._is_broken or not self._connection.is_connected

    async def call(self, *words: Word, timeout: float = ANSWER_SECONDS) -> Any:
        """Send a command and return the answer. Raises ServerTrouble, OutcomeUnknown, ServerRefused."""
        (answer,) = await self.calls(words, timeout=timeout)
        return answer

    async def calls(self, *commands: Sequence[Word], timeout: float = ANSWER_SECONDS) -> list[Any]:
        """Send commands at once; return their answers, in order. Raises as ``call``: at the first that fails."""
        from redis.exceptions import MovedError

        async with self._turn:
            if self.is_broken:
                raise ServerTrouble(f"the connection to {self._shown} is broken")
            try:
                return await _exchange(self._connection, commands, timeout, self._shown)
            except OutcomeUnknown:
                self._is_broken = True
                raise
            except ServerTrouble:
                self._is_broken = self._is_broken or len(commands) > 1  # further answers are still to come
                raise
            except MovedError:
                self._is_broken = True
                raise ServerTrouble(f"{self._shown}: another node of the cluster has our keys now") from None
            except asyncio.CancelledError:
                self._is_broken = True  # the answer is still to come, and must not be read as that of another command
                raise

    async def script(
        self, script: Script, keys: Sequence[str], *arguments: Word, timeout: float = ANSWER_SECONDS
    ) -> Any:
        """Run a script, sending it first if the server doesn't have it."""
        from redis.exceptions import NoScriptError

        words = (len(keys), *keys, *arguments)
        try:
            return await self.call("EVALSHA", script.digest, *words, timeout=timeout)
        except NoScriptError:
            return await self.call("EVAL", script.text, *words, timeout=timeout)

    async def check_role(self) -> None:
        """Raise ServerTrouble if the server is a replica by now."""
        info = _parse_info(await self.call("INFO", "replication"))
        if info.get("role") == "slave":
            raise ServerTrouble(_is_replica(self._shown))

    async def close(self) -> None:
        """Close it. Idempotent."""
        self._is_broken = True
        with contextlib.suppress(Exception):  # in any case the connection is not used again
            await self._connection.disconnect(nowait=True)


async def _exchange(
    connection: AbstractConnection, commands: Sequence[Sequence[Word]], timeout: float, shown: str
) -> list[Any]:
    from redis.exceptions import NoScriptError

    try:
        async with asyncio.timeout(timeout):
            with _translated(shown):
                await connection.send_packed_command([pack(words) for words in commands], check_health=False)
                return [await connection.read_response() for _ in commands]
    except NoScriptError:
        raise
    except TimeoutError:
        raise OutcomeUnknown(f"{shown} does not answer within {timeout:g} s") from None


def pack(words: Sequence[Word]) -> bytes:
    """Encode a command. With a thousand events this is most of the cost of sending, so C does it."""
    from hiredis import pack_command

    packed: bytes = pack_command(tuple(words))  # type: ignore[arg-type]  # its stub takes a tuple of one alone
    return packed


@contextlib.contextmanager
def _translated(shown: str) -> Iterator[None]:
    """Translate the library's exceptions into ours."""
    from redis import exceptions

    try:
        yield
    except exceptions.NoScriptError:
        raise
    except (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError) as error:
        raise ServerRefused(_refusal(shown, error)) from None
    except exceptions.MovedError:
        raise
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        if any(word in str(error) for word in _REFUSALS):
            raise ServerRefused(_refusal(shown, error)) from None
        raise OutcomeUnknown(f"{shown} can't be reached: {_first_line(error)}") from None
    except exceptions.ResponseError as error:
        if any(word in str(error) for word in _REFUSALS):
            raise ServerRefused(_refusal(shown, error)) from None
        raise ServerTrouble(f"{shown} refuses: {_advice(str(error))}") from None
    except exceptions.RedisError as error:
        raise OutcomeUnknown(f"{shown} answers what can't be read: {_first_line(error)}") from None


def _refusal(shown: str, error: Exception) -> str:
    return (
        f"{shown} turns us away ({_first_line(error)}): give [broker] username and password_file, "
        "or SWIM_BROKER__PASSWORD in the environment"
    )


def _advice(said: str) -> str:
    said = said.splitlines()[0][:200] if said else "no reason given"
    if "maxmemory" in said:
        return f"{said}; raise its maxmemory, or shorten [history] keep"
    if "read only replica" in said:
        return "it is a replica, which takes no events: give the address of the server that it follows"
    if "MISCONF" in said or "persist" in said:
        return f"{said}; free its disk"
    return said


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


class Server:
    """Opens sessions. Only this class imports the Redis library, and only when it is needed."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self._moved_to: tuple[str, int] | None = None
        """The node of a cluster that keeps our keys."""

    async def open(self, key: str) -> Session:
        """Connect to the node that keeps ``key``. Raises ServerTrouble, or ServerRefused if retrying does not help."""
        for _ in range(3):
            connection = self._make_connection()
            try:
                return await self._greet(connection, key)
            except BaseException as error:
                with contextlib.suppress(Exception):  # it failed: how it is closed does not matter
                    await connection.disconnect(nowait=True)
                if not self._has_moved(error):
                    raise
        raise ServerTrouble(f"{self.address.shown} sends us from one node of its cluster to the next")

    async def _greet(self, connection: AbstractConnection, key: str) -> Session:
        from redis.exceptions import MovedError

        shown = self.address.shown
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                with _translated(shown):
                    await connection.connect()  # type: ignore[no-untyped-call]  # the library has no annotations here
            (info,) = await _exchange(connection, [("INFO",)], ANSWER_SECONDS, shown)
            run = _run_of(_parse_info(info), shown)
            await _exchange(connection, [("EXISTS", key)], ANSWER_SECONDS, shown)
        except MovedError:
            raise
        except TimeoutError:
            raise ServerTrouble(f"{shown} can't be reached within {CONNECT_SECONDS:g} s") from None
        except OutcomeUnknown as error:
            raise ServerTrouble(error.reason) from None
        return Session(connection, run, shown)

    def _make_connection(self) -> AbstractConnection:
        try:
            import hiredis  # noqa: F401  # whether it is there
            from redis.asyncio import ConnectionPool
        except ImportError:
            raise ServerRefused(f"[broker] url names a Redis server, and redis-py is missing: {INSTALL}") from None
        options: dict[str, Any] = {
            "socket_timeout": None, "socket_connect_timeout": CONNECT_SECONDS, "retry": _no_retry(), "protocol": 2,
            "socket_keepalive": True, "health_check_interval": 0,
        }  # fmt: skip
        address = self.address
        if address.url.startswith("unix:"):
            del options["socket_keepalive"]
        try:
            pool = ConnectionPool.from_url(address.url, **options)
        except ValueError as error:
            raise ServerRefused(f"[broker] url {address.shown} can't be used: {_first_line(error)}") from None
        given = {"username": address.username, "password": address.password}
        pool.connection_kwargs |= {name: value for name, value in given.items() if value is not None}
        if self._moved_to is not None:
            pool.connection_kwargs |= {"host": self._moved_to[0], "port": self._moved_to[1]}
        made: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # as above
        return made

    def _has_moved(self, error: BaseException) -> bool:
        from redis.exceptions import MovedError

        if isinstance(error, MovedError):
            self._moved_to = error.host or self._host(), error.port
            return True
        if self._moved_to is not None and isinstance(error, ServerTrouble):
            self._moved_to = None  # the node that kept them is gone: ask the configured one
            return True
        return False

    def _host(self) -> str:
        from urllib.parse import urlsplit

        return urlsplit(self.address.url).hostname or "localhost"


def _no_retry() -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 0)


def _parse_info(answer: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _is_replica(shown: str) -> str:
    return f"{shown} is a replica, which takes no events: give the address of the server it follows"


def _run_of(found: dict[str, str], shown: str) -> ServerRun:
    """Return the server's run. Raises ServerRefused if the server is too old, ServerTrouble while it is loading."""
    version = found.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_VERSION:
        needed = ".".join(map(str, OLDEST_VERSION))
        raise ServerRefused(f"{shown} is Redis {version or 'of no known version'}; {needed} or later is needed")
    if found.get("loading") == "1":
        raise ServerTrouble(f"{shown} is loading its data")
    if found.get("role") == "slave":
        raise ServerTrouble(_is_replica(shown))
    return ServerRun(found.get("run_id", ""), version)
