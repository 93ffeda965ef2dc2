"""One connection to one run of one server: never reopened, closed at any trouble, its answers never mixed up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.redis_stream.errors import OutcomeUnknown, ServerLoading, ServerRefused, ServerTrouble
from swim_server.concurrency.deadline import answered_within

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from swim_server.brokers.redis_stream.scripts import Script

OLDEST_VERSION = (6, 2)
ANSWER_SECONDS = 5.0
_REFUSALS = ("WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password", "called without any password")

Word = str | bytes | int | float
"""A word of a command."""


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
                return await exchange(self._connection, commands, timeout, self._shown)
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
        info = parse_info(await self.call("INFO", "replication"))
        if info.get("role") == "slave":
            raise ServerTrouble(_is_replica(self._shown))

    async def close(self) -> None:
        """Close it. Idempotent."""
        self._is_broken = True
        with contextlib.suppress(Exception):  # in any case the connection is not used again
            await self._connection.disconnect(nowait=True)


async def exchange(
    connection: AbstractConnection, commands: Sequence[Sequence[Word]], timeout: float, shown: str
) -> list[Any]:
    from redis.exceptions import NoScriptError

    try:
        async with answered_within(timeout):
            with translated(shown):
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
def translated(shown: str) -> Iterator[None]:
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
    except exceptions.BusyLoadingError:
        raise ServerLoading(_loading(shown)) from None
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        if any(word in str(error) for word in _REFUSALS):
            raise ServerRefused(_refusal(shown, error)) from None
        raise OutcomeUnknown(f"{shown} can't be reached: {first_line(error)}") from None
    except exceptions.ResponseError as error:
        if any(word in str(error) for word in _REFUSALS):
            raise ServerRefused(_refusal(shown, error)) from None
        raise ServerTrouble(f"{shown} refuses: {_advice(str(error))}") from None
    except exceptions.InvalidResponse as error:
        told = f"{shown} does not speak the Redis protocol ({first_line(error)}): check [broker] url"
        raise OutcomeUnknown(told) from None
    except exceptions.RedisError as error:
        raise OutcomeUnknown(f"{shown} answers what can't be read: {first_line(error)}") from None


def _refusal(shown: str, error: Exception) -> str:
    from redis.exceptions import NoPermissionError

    if isinstance(error, NoPermissionError) or "NOPERM" in str(error):
        return (
            f"{shown} does not let its user do that ({first_line(error)}): it needs INFO, CONFIG GET, scripts, and all "
            "commands on keys that begin with [broker] prefix in braces"
        )
    return (
        f"{shown} turns us away ({first_line(error)}): give [broker] username and password_file, "
        "or SWIM_BROKER__PASSWORD in the environment"
    )


def _advice(said: str) -> str:
    said = said.splitlines()[0][:200] if said else "no reason given"
    if "maxmemory" in said:
        return f"{said}; raise its maxmemory, or shorten [history] keep"
    if "read only replica" in said:
        return "it is a replica, which takes no events: give the address of the server that it follows"
    if "slot not served" in said or "cluster is down" in said:
        return f"CLUSTERDOWN {said}; its cluster is not complete: redis-cli --cluster check"
    if "MISCONF" in said or "persist" in said:
        return f"{said}; free its disk"
    return said


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def parse_info(answer: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _loading(shown: str) -> str:
    return f"{shown} is loading its data from the disk"


def _is_replica(shown: str) -> str:
    return f"{shown} is a replica, which takes no events: give the address of the server it follows"


def run_of(found: dict[str, str], shown: str) -> ServerRun:
    """Return the server's run. Raises ServerRefused if the server is too old, ServerTrouble while it is loading."""
    version = found.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_VERSION:
        needed = ".".join(map(str, OLDEST_VERSION))
        raise ServerRefused(f"{shown} is Redis {version or 'of no known version'}; {needed} or later is needed")
    if found.get("loading") == "1":
        raise ServerLoading(_loading(shown))
    if found.get("role") == "slave":
        raise ServerTrouble(_is_replica(shown))
    return ServerRun(found.get("run_id", ""), version)
