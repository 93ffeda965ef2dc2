"""Opens the WebSocket: address, key header, timeouts, and what each refused upgrade means."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import re
import ssl as ssl_module
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Union
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event
from websockets.version import version as LIBRARY_VERSION  # noqa: N812  # a constant

from swim_client.addresses import Addresses, Urls, split_urls
from swim_client.backoff import retry_after
from swim_client.errors import AuthenticationError, SwimError
from swim_client.version import __version__

ENVIRONMENT_VARIABLE = "SWIM_API_KEY"
MAX_CHARACTERS = 512
NOT_REACHED = "a proxy does not reach the service, or it is restarting"
_STATUS_LINE = re.compile(r"\bHTTP/\d\.\d (\d{3})\b")


class ApiKey:
    """A key that never appears in a ``repr``, log line or traceback."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Store a key without surrounding blanks. Raises ValueError if no HTTP header can contain it."""
        stripped = text.strip()
        if not stripped:
            raise ValueError(f"no API key: pass one to SWIMClient(...), or set {ENVIRONMENT_VARIABLE}")
        if len(stripped) > MAX_CHARACTERS or not all(" " < character <= "~" for character in stripped):
            raise ValueError(f"not an API key: it has blanks, non-ASCII characters, or more than {MAX_CHARACTERS}")
        self._text = stripped

    @classmethod
    def find(cls, given: Optional[str]) -> ApiKey:
        """Use the given key, otherwise the environment's. Raises ValueError if there is neither."""
        return cls(os.environ.get(ENVIRONMENT_VARIABLE, "") if given is None else given)

    def reveal(self) -> str:
        """Return the key itself, for the handshake."""
        return self._text

    def redact(self, text: str) -> str:
        """Replace the key in a text from elsewhere."""
        return text.replace(self._text, "[key]")

    def __repr__(self) -> str:
        return "ApiKey(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")


KEY_HEADER = "X-SWIM-API-Key"
DEFAULT_URL = "ws://127.0.0.1:8090/api/swim/v1/ws"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
CLOSE_TIMEOUT_SECONDS = 3.0
INVALID_DATA = 1007

USER_AGENT = f"swim-client/{__version__} Python/{platform.python_version()} websockets/{LIBRARY_VERSION}"


class NotOpened(SwimError):
    """The connection could not be opened; trying again may help."""

    def __init__(self, reason: str, retry_after_seconds: Optional[float] = None) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        """What the server asked for with ``Retry-After``."""
        super().__init__(reason)


class Line(ClientConnection):
    """Passes each text message to one function as it arrives: the library's queue costs more than everything else."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.failure: Optional[Exception] = None
        """The exception raised by the function: a bug in this package, which ended the connection."""
        self._take: Optional[Callable[[str], None]] = None
        self._early: List[Frame] = []
        self._parts: List[Union[bytes, bytearray, memoryview]] = []
        self._is_text = False

    def listen(self, take: Callable[[str], None]) -> None:
        """Pass on what has arrived, and from now on everything that arrives."""
        self._take = take
        early, self._early = self._early, []
        for frame in early:
            self._data(frame)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self._take is None:
                self._early.append(event)
            else:
                self._data(event)
        else:
            super().process_event(event)

    def _data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text, self._parts = frame.opcode is Opcode.TEXT, []
        self._parts.append(frame.data)
        if not frame.fin:
            return
        parts, self._parts = self._parts, []
        if self._is_text and self._take is not None and self.failure is None:
            try:
                self._take(str(parts[0] if len(parts) == 1 else b"".join(parts), "utf-8"))
            except UnicodeDecodeError as error:
                self.protocol.fail(INVALID_DATA, f"{error.reason} at position {error.start}")
                self.send_data()
            except Exception as error:  # noqa: BLE001  # whoever reads is told of it
                self.failure = error
                self.transport.abort()

    def pause(self) -> None:
        """Stop reading until ``go_on``."""
        with contextlib.suppress(AttributeError):  # before Python 3.11 a line over TLS that has ended is None
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Resume reading."""
        with contextlib.suppress(AttributeError):
            self.transport.resume_reading()


class _NoRedirects(connect):
    """Refuses redirects: the library would follow one and send the key header to any host it names."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class _QuietLog(logging.LoggerAdapter):  # type: ignore[type-arg]  # not subscriptable before Python 3.11
    """The library's log without its debug lines, which would show every handshake header, including the key."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return level > logging.DEBUG and super().isEnabledFor(level)


def check_urls(given: Urls) -> List[str]:
    """Return the addresses if all are valid WebSocket URLs. Raises ValueError."""
    urls = split_urls(given)
    if not urls:
        raise ValueError(f"no address: the list is empty; an address looks like {DEFAULT_URL}")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"not a WebSocket address: {shown(url)!r}; one looks like {DEFAULT_URL}")
    return urls


def shown(url: str) -> str:
    """Return the address without user, password, query and fragment: the part that may be logged."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without_answer(error: BaseException) -> str:
    """Describe what came instead of an HTTP/1.1 response: an older HTTP, something else, or nothing."""
    causes = [each for each in (error, error.__cause__) if each is not None]
    for cause in causes:
        found = _STATUS_LINE.search(str(cause))
        if found is not None:
            why = f": {NOT_REACHED}" if found[1] in ("502", "503", "504") else ""
            return f"the server answered HTTP {found[1]}{why}"
    if any(isinstance(cause, EOFError) for cause in causes):
        return f"the connection was closed without an answer; perhaps {NOT_REACHED}"
    return f"no WebSocket answers there: {error}"


class Opener:
    """Opens connections to one service, which may have several addresses, with one key."""

    def __init__(
        self,
        urls: Union[str, Sequence[str]],
        key: Optional[ApiKey],
        *,
        unix_path: Optional[Path] = None,
        ssl: Optional[ssl_module.SSLContext] = None,
        timeout_seconds: float = 15.0,
    ) -> None:
        listed = [urls] if isinstance(urls, str) else list(urls)
        plain = [url for url in listed if not url.startswith("wss:")]
        if ssl is not None and not unix_path and plain:
            raise ValueError(f"ssl is for wss:// addresses, not for {shown(plain[0])}")
        if unix_path and len(listed) > 1:
            raise ValueError("unix_path: is one address; leave out the others")
        self.addresses = Addresses(listed)
        self.key = key
        """Used from the next connection on."""
        self._unix_path = unix_path
        self._ssl = ssl
        self._timeout_seconds = timeout_seconds

    @property
    def address(self) -> str:
        """The address to connect to, as it may be logged."""
        return str(self._unix_path) if self._unix_path else shown(self.addresses.current)

    def redact(self, text: str) -> str:
        """Replace the key in a text."""
        return self.key.redact(text) if self.key else text

    async def open(self) -> Line:
        """Open a connection. Raises NotOpened, or AuthenticationError when the upgrade is refused with 401."""
        try:
            line = await _NoRedirects(self.addresses.current, create_connection=Line, **self._options())
            assert isinstance(line, Line), "it was made so"
            return line
        except InvalidStatus as error:
            raise self._refused(error) from None
        except (InvalidHandshake, EOFError, ValueError) as error:  # ValueError: websockets before 14, for no HTTP
            raise NotOpened(self.redact(_without_answer(error))) from None
        except (TimeoutError, asyncio.TimeoutError):  # two classes before Python 3.11
            raise NotOpened(f"no answer within {self._timeout_seconds:g} s") from None
        except OSError as error:
            raise NotOpened(error.strerror or str(error) or type(error).__name__) from None

    def _options(self) -> Dict[str, Any]:
        options: Dict[str, Any] = {
            "additional_headers": {KEY_HEADER: self.key.reveal()} if self.key else {},
            "user_agent_header": USER_AGENT,
            "open_timeout": self._timeout_seconds,
            "close_timeout": CLOSE_TIMEOUT_SECONDS,
            "ping_interval": None,  # ours knows when reading is held up
            "max_size": MAX_MESSAGE_BYTES,
            "logger": _QuietLog(logging.getLogger("swim_client.websocket"), {}),
        }
        if self._ssl is not None:
            options["ssl"] = self._ssl
        if self._unix_path is not None:
            options.update(unix=True, path=str(self._unix_path))
        return options

    def _refused(self, error: InvalidStatus) -> SwimError:
        response = error.response
        status = response.status_code
        if status == 401:
            body = bytes(response.body or b"").decode("utf-8", "replace").strip()
            return AuthenticationError(self.redact(body[:200]) or "the upgrade was refused", 401)
        told = f"the server answered HTTP {status}"
        if 300 <= status < 400:
            told += f", a redirect to {self.redact(response.headers.get('Location', '?'))[:200]}: use that address"
        elif status == 404:
            told += ": is the path of the address right?"
        elif status in (502, 503, 504):
            told += f": {NOT_REACHED}"
        return NotOpened(told, retry_after(response.headers.get("Retry-After"), time.time()))
