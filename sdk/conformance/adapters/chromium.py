"""The JavaScript SDK in Chromium: a page with the script-tag build, and a bridge to the runner's JSON lines."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

HERE = Path(__file__).parent
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
PAGE = """<!doctype html><title>adapter</title><script src="/swim-client.js"></script><script type="module">
import { CAN, makeAdapter } from '/subject.mjs';
const bridge = new WebSocket(`ws://${location.host}/bridge`);
const report = (fields) => bridge.send(JSON.stringify(fields));
const obey = makeAdapter({ sdk: globalThis.swimClient, report });
bridge.onopen = () => report({ saw: 'ready', name: 'chromium', version: navigator.userAgent, can: CAN });
bridge.onmessage = (event) => obey(JSON.parse(event.data));
</script>"""


def answer(connection: ServerConnection, request: Request) -> Response | None:
    """Serve the page and its scripts; everything else is the bridge."""
    files = {
        "/": (PAGE.encode(), "text/html; charset=utf-8"),
        "/swim-client.js": (Path(sys.argv[2]).read_bytes(), "text/javascript"),
        "/subject.mjs": ((HERE / "javascript_subject.mjs").read_bytes(), "text/javascript"),
    }
    if request.path == "/bridge":
        return None
    body, kind = files.get(request.path, (b"", "text/plain"))
    status = HTTPStatus.OK if body else HTTPStatus.NOT_FOUND
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(status, status.phrase, headers, body)


async def lines() -> asyncio.StreamReader:
    """Read lines from standard input."""
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main(program: str) -> None:
    """Run the browser until standard input ends."""
    done = asyncio.Event()
    commands = await lines()

    async def bridge(page: ServerConnection) -> None:
        async def obey() -> None:
            async for line in commands:
                await page.send(line.decode())
            done.set()

        obeying = asyncio.ensure_future(obey())
        try:
            async for report in page:
                print(json.dumps(json.loads(report)), flush=True)
        finally:
            obeying.cancel()
            done.set()

    async with serve(bridge, "127.0.0.1", 0, process_request=answer, max_size=None, compression=None) as server:
        port: Any = next(iter(server.sockets)).getsockname()[1]
        profile = tempfile.mkdtemp(prefix="swim-conformance-browser-")
        browser = await asyncio.create_subprocess_exec(
            program,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"http://127.0.0.1:{port}/",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        waiting = [asyncio.ensure_future(each) for each in (browser.wait(), done.wait(), end_of(commands))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if browser.returncode is None:
                browser.terminate()
            await browser.wait()
            shutil.rmtree(profile, ignore_errors=True)


async def end_of(commands: asyncio.StreamReader) -> None:
    """Wait until there are no more commands, even if no page has fetched them."""
    while not commands.at_eof():
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
