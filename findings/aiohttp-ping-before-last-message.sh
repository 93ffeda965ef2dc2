#!/usr/bin/env bash
# aiohttp as a WebSocket client whose handler awaits while a ping, a message and a close frame arrive and the server
# then closes its side: one would expect the loop over the messages to hand over the message, which arrived whole, and
# then end with the close code. Instead the answer to the ping fails, the loop raises, and message and code are lost.
# Without the ping before it, the message is handed over.
#
# Seen with aiohttp 3.14.5 (Python 3.11):
#   message, close:        first, last
#   ping, message, close:  first, ClientConnectionResetError: Cannot write to closing transport; close_code 1006
#
# Exits 0 while that is so, 1 when it has changed, 2 when it can't be tried. Needs python3-venv, a network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cannot() { echo "can't be tried: $*" >&2; exit 2; }

python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -q aiohttp==3.14.5 || cannot "pip install aiohttp==3.14.5"
cat > "$folder/try.py" <<'PYTHON'
import asyncio
import base64
import hashlib
import platform
import sys

import aiohttp


def frame(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, len(payload)]) + payload


PING, MESSAGE, CLOSE = frame(9, b""), frame(1, b"last"), frame(8, (4008).to_bytes(2, "big"))


async def try_out(frames: list[bytes]) -> tuple[list[str], object]:
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n" + frame(1, b"first")
        )
        await asyncio.sleep(0.3)
        writer.write(b"".join(frames))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        sent.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    seen = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/") as socket:
        try:
            async for message in socket:
                seen.append(message.data)
                if message.data == "first":  # a handler that awaits for a while
                    await sent.wait()
                    await asyncio.sleep(0.5)
        except Exception as error:
            seen.append(f"{type(error).__name__}: {error}")
    server.close()
    return seen, socket.close_code


print(f"aiohttp {aiohttp.__version__}, Python {platform.python_version()}")
without, _ = asyncio.run(try_out([MESSAGE, CLOSE]))
print("message, close:       ", ", ".join(without))
behind, code = asyncio.run(try_out([PING, MESSAGE, CLOSE]))
print("ping, message, close: ", ", ".join(behind) + f"; close_code {code}")
sys.exit(0 if without == ["first", "last"] and "last" not in behind else 1)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
