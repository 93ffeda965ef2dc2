"""Polls an HTTP feed politely: conditionally, compressed, within limits. Knows nothing of the feed's content."""

from __future__ import annotations

import asyncio
import zlib
from email.utils import parsedate_to_datetime
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

if TYPE_CHECKING:
    import aiohttp

from swim_server import __version__
from swim_server.concurrency.clock import Clock
from swim_server.config.redaction import url_without_secrets

CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0
"""Timeout of one answer, including its body."""
MAX_PACKED_BYTES = 16 * 1024 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Maximum size, decompressed. The largest snapshot of the VATSIM network so far had some 8 million bytes."""
MAX_REDIRECTS = 3
LONGEST_RETRY_AFTER_SECONDS = 3600.0
USER_AGENT = f"swimctl/{__version__}"

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class FeedTrouble(Exception):
    """The feed can't be read at the moment: why, and when it asked to be retried."""

    def __init__(self, kind: str, reason: str, *, retry_after_seconds: float | None = None) -> None:
        self.kind = kind
        """A category to count it by: ``unreachable``, ``timeout``, ``status 503``, ``truncated``, ``too large``."""
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        super().__init__(kind, reason)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


class Validators(msgspec.Struct, frozen=True):
    """The validators of the last answer used, with which the feed can say that nothing has changed."""

    etag: str | None = None
    last_modified: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """The feed's answer as received."""

    body: bytes
    """May be compressed."""
    validators: Validators


class HttpFeed:
    """One address. Use as an async context manager: it keeps one connection alive."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        total_seconds: float = TOTAL_SECONDS,
        max_packed_bytes: int = MAX_PACKED_BYTES,
    ) -> None:
        self.url = url
        self._clock = clock
        self._total_seconds = total_seconds
        self._max_packed_bytes = max_packed_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        aiohttp = await asyncio.to_thread(_import_aiohttp)
        timeout = aiohttp.ClientTimeout(total=self._total_seconds, connect=min(CONNECT_SECONDS, self._total_seconds))
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            auto_decompress=False,  # it would decompress without a limit
            trust_env=True,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, validators: Validators) -> Answer | None:
        """Poll once; None: nothing has changed since the answer with these validators. Raises FeedTrouble."""
        import aiohttp

        headers = {}
        if validators.etag is not None:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified is not None:
            headers["If-Modified-Since"] = validators.last_modified
        assert self._session is not None, "it is used within its context"
        try:
            async with self._session.get(self.url, headers=headers, max_redirects=MAX_REDIRECTS) as response:
                if response.status == 304 and headers:
                    return None
                if response.status != 200:
                    raise self._refusal(response.status, response.headers.get("Retry-After"))
                body = await self._read(response)
                found = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
                return Answer(body, found)
        except TimeoutError:
            raise FeedTrouble("timeout", f"no whole answer within {self._total_seconds:g} s") from None
        except aiohttp.ClientPayloadError as error:
            raise FeedTrouble("truncated", f"the answer ended early ({error})") from None
        except aiohttp.TooManyRedirects:
            raise FeedTrouble("redirected", f"more than {MAX_REDIRECTS} times") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # aiohttp's texts may contain the whole address, and so a password or a token.
            text = str(error).replace(self.url, url_without_secrets(self.url))
            raise FeedTrouble("unreachable", text or type(error).__name__) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts = []
        size = 0
        async for part in response.content.iter_chunked(65_536):
            size += len(part)
            if size > self._max_packed_bytes:
                raise FeedTrouble("too large", f"more than {self._max_packed_bytes:,} bytes on the wire")
            parts.append(part)
        return b"".join(parts)

    def _refusal(self, status: int, retry_after: str | None) -> FeedTrouble:
        seconds = read_retry_after(retry_after, self._clock.now_ms() / 1000)
        return FeedTrouble(f"status {status}", "", retry_after_seconds=seconds)


class OpenFeed(Protocol):
    """Opens the feed of a source."""

    def __call__(self, url: str, *, clock: Clock, total_seconds: float) -> HttpFeed: ...


def inflate(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Decompress an answer if needed. Raises FeedTrouble if it is truncated or exceeds the limit."""
    if not body.startswith(_GZIP_MAGIC):
        if len(body) > max_bytes:
            raise FeedTrouble("too large", f"more than {max_bytes:,} bytes")
        return body
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        content = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise FeedTrouble("truncated", f"its compression is damaged ({error})") from None
    if len(content) > max_bytes:
        raise FeedTrouble("too large", f"more than {max_bytes:,} bytes inflated")
    if not inflater.eof:
        raise FeedTrouble("truncated", "its compression is cut off")
    return content


def read_retry_after(text: str | None, now: float) -> float | None:
    """Read ``Retry-After``, seconds or a date, as seconds from ``now`` (since the epoch); None: none or invalid."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, min(seconds, LONGEST_RETRY_AFTER_SECONDS))


def _import_aiohttp() -> ModuleType:
    import aiohttp

    return aiohttp
