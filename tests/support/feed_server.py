"""A local HTTP server that serves documents as feeds do, with ETag, 304 and gzip, and sometimes fails."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2s
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _QuietServer(ThreadingHTTPServer):
    """Ignores clients that disconnect midway, as these tests do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


class FeedServer:
    """Serves ``documents`` one after the other: the next one when ``advance`` is called.

    ``faults``: what the next requests get instead, in order: a status, ``"truncated"``, ``"cut"`` (its compression),
    ``"silent"``, or the number of an earlier document as a negative index.
    """

    def __init__(self, documents: list[bytes]) -> None:
        self.documents = documents
        self.number = 0
        self.faults: list[int | str] = []
        self.headers: dict[str, str] = {}
        """Further headers of every answer."""
        self.answers: Counter[int | str] = Counter()
        self.requests: list[dict[str, str]] = []
        """The headers of each request."""
        self.uses_etag = True
        self._silence = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_: Any) -> None:
                return

        self._http = _QuietServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v3/feed.json"

    def advance(self) -> bool:
        """Serve the next document; return False if there is none."""
        if self.number + 1 >= len(self.documents):
            return False
        self.number += 1
        return True

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(dict(handler.headers.items()))
        fault = self.faults.pop(0) if self.faults else None
        number = self.number
        if fault == "silent":
            self.answers["silent"] += 1
            self._silence.wait(30)
            return
        if isinstance(fault, int) and fault > 0:
            self.answers[fault] += 1
            self._send(handler, fault, b"" if fault == 304 else b"try again later", {})
            return
        if isinstance(fault, int):
            number = max(0, number + fault)
        body = gzip.compress(self.documents[number], 1, mtime=0)
        etag = f'"{blake2s(body, digest_size=8).hexdigest()}"'
        headers = {"Content-Encoding": "gzip"} | ({"ETag": etag} if self.uses_etag else {})
        if self.uses_etag and handler.headers.get("If-None-Match") == etag:
            self.answers[304] += 1
            self._send(handler, 304, b"", headers)
            return
        self.answers[fault if fault is not None else 200] += 1
        if fault == "cut":
            body = body[: len(body) // 2]
        if fault == "truncated":
            handler.close_connection = True
            self._send(handler, 200, body, headers, cut=len(body) // 2)
            return
        self._send(handler, 200, body, headers)

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], cut: int | None = None
    ) -> None:
        handler.send_response(status)
        for name, value in {**headers, **self.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:cut])

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._silence.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def feed_server(*documents: bytes) -> Iterator[FeedServer]:
    """Run a server during a test."""
    server = FeedServer(list(documents))
    server.start()
    try:
        yield server
    finally:
        server.close()
