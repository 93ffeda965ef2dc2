"""Opens sessions for a stream, and explains refusals to the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swimctl.client.session import Session
from swimctl.errors import CommandError, CommandFailed, DaemonNotRunning, Refused, WrongUsage

if TYPE_CHECKING:
    from swim_server.daemon.home import Home

KEY_REFUSED, LIMIT_REACHED, TRY_LATER, SERVICE_RESTART = 4001, 4002, 1013, 1012
RETRY_TIMEOUT_SECONDS = 0.5
_BETWEEN_URLS = re.compile(r"\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_ADVICE = re.compile(r"[;,]?\s*retry_ms=\d+")
"""The reconnect delay in a close reason. It is followed, not shown."""


class LimitReached(Refused):
    """No connection is free now; one may be later."""


class Gone(CommandFailed):
    """The service is gone for good: trying again is pointless."""


class Restarting(CommandFailed):
    """The service is restarting, or asks this client to reconnect, perhaps after a given time."""

    def __init__(self, reason: str, retry_seconds: float | None) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(reason or "the service restarts")


def is_final(error: CommandError) -> bool:
    """Return True if connecting again is pointless because the user has to act first."""
    return isinstance(error, (Refused, WrongUsage, Gone)) and not isinstance(error, LimitReached)


def to_daemon(home: Home) -> Callable[[], Session]:
    """Return a function that opens sessions through a home's control socket.

    It raises DaemonNotRunning, CommandFailed.
    """
    from swimctl.client.control import STARTING_SECONDS, ControlClient

    timeouts = [RETRY_TIMEOUT_SECONDS, STARTING_SECONDS]  # on the first attempt, wait longer for a starting daemon

    def open_session() -> Session:
        timeout = timeouts.pop() if len(timeouts) > 1 else timeouts[0]
        return ControlClient.connect(home, timeout, light=True).session  # a stream is read all the time

    return open_session


def to_url(url: str, api_key: str | None) -> Callable[[], Session]:
    """Return a function that opens sessions with a service at an address, as any client does.

    Of several addresses with commas between them, each call tries the next in turn until one answers. It raises
    CommandError.
    """
    urls = split_urls(url)
    if len(urls) == 1:
        return _to_one_url(urls[0], api_key)
    return _InTurn([_to_one_url(one, api_key) for one in urls])


def split_urls(url: str) -> list[str]:
    """Return the addresses that commas separate: ``--url`` may name several nodes of one service."""
    return list(dict.fromkeys(_BETWEEN_URLS.split(url.strip().rstrip(","))))


class _InTurn:
    """Opens a session at the next of several addresses that answers; begins with the first."""

    def __init__(self, openers: Sequence[Callable[[], Session]]) -> None:
        self._openers = openers
        self._at = 0

    def __call__(self) -> Session:
        problems: list[CommandError] = []
        for _ in self._openers:
            opener = self._openers[self._at]
            self._at = (self._at + 1) % len(self._openers)
            try:
                return opener()
            except CommandError as error:
                if is_final(error):
                    raise
                problems.append(error)
        if all(isinstance(error, DaemonNotRunning) for error in problems):
            told = "; ".join(error.problem for error in problems)
            raise DaemonNotRunning(told, "is the service running at any of these addresses?")
        raise next(error for error in problems if not isinstance(error, DaemonNotRunning))


def _to_one_url(url: str, api_key: str | None) -> Callable[[], Session]:
    from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

    def open_session() -> Session:
        try:
            return Session.open_url(url, api_key)
        except (InvalidURI, ValueError):
            raise WrongUsage(f"--url: {url!r} is not a ws:// or wss:// address") from None
        except InvalidStatus as refused:
            raise _http_refusal(url, refused.response.status_code) from None
        except WebSocketException as error:
            raise CommandFailed(f"{url} does not speak WebSocket: {error}") from None
        except TimeoutError:
            raise DaemonNotRunning(f"{url} does not answer", "check the address, or try: swimctl status") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise DaemonNotRunning(f"nothing answers at {url}: {reason}", "is the service running there?") from None

    return open_session


def _http_refusal(url: str, status: int) -> CommandError:
    if status == 429:
        return LimitReached(f"{url} refuses this client's address for now: too many failed attempts", "try again later")
    return CommandFailed(f"{url} answered with HTTP {status}", "the path of the service is /api/swim/v1/ws")


def without_advice(reason: str) -> str:
    """Strip the reconnect delay from a close reason: it is followed, not shown."""
    return _ADVICE.sub("", reason)


def close_refusal(code: int | None, reason: str) -> CommandError:
    """Return the error for a connection that was closed before the answer."""
    if code == KEY_REFUSED:
        return Refused(f"the key was refused: {reason or 'no reason given'}", "set SWIM_API_KEY to a valid key")
    if code == LIMIT_REACHED:
        return LimitReached(reason or "the maximum number of connections is reached", "try again later")
    if code == TRY_LATER:
        return CommandFailed(reason or "keys can't be checked at the moment", "try again later")
    return CommandFailed(f"the connection was closed: {reason or code or 'it broke'}")


def restart_notice(message: Mapping[str, Any]) -> Restarting | None:
    """Decode the ``error`` message that precedes a close with 1012; return None for any other message."""
    data = message.get("data")
    details = data if isinstance(data, dict) else {}
    if message.get("type") != "error" or "RESTARTING" not in (message.get("code"), details.get("code")):
        return None
    retry_ms = details.get("retry_ms")
    seconds: float | None = None
    if isinstance(retry_ms, int) and not isinstance(retry_ms, bool) and retry_ms >= 0:
        seconds = retry_ms / 1000
    text = str(message.get("message") or details.get("message") or "")
    return Restarting(without_advice(text), seconds)


def message_refusal(message: Mapping[str, Any]) -> CommandError:
    """Return the error for an ``error`` message."""
    code, text = str(message.get("code")), str(message.get("message"))
    if code == "AUTH_FAILED":
        return Refused(f"the key was refused: {text}", "set SWIM_API_KEY to a valid key")
    if code == "CONNECTION_LIMIT":
        return LimitReached(text, "see who is connected with: swimctl connections list")
    if code == "FORBIDDEN":
        return Refused(text)
    if code.startswith("INVALID_"):
        return WrongUsage(text)
    return CommandFailed(f"{text} ({code})")
