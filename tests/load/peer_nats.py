"""A NATS server with its WebSocket listener: prints its port and takes lines "send FIRST COUNT SIZE", as peers.py does.

Events are published over one TCP connection to the subject ``flight``, as a provider would.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import event

CONFIGURATION = """
host: 127.0.0.1
port: {port}
max_connections: 20000
write_deadline: "30s"
websocket {{ host: 127.0.0.1, port: {websocket}, no_tls: true, compression: false }}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def connected(port: int) -> socket.socket:
    """Open a client connection and read its greeting."""
    for _ in range(200):
        try:
            link = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    else:
        raise SystemExit("the NATS server did not start")
    link.recv(65536)
    link.sendall(b'CONNECT {"verbose":false}\r\n')
    return link


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port, websocket = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nats.conf"
        configuration.write_text(CONFIGURATION.format(port=port, websocket=websocket))
        server = subprocess.Popen(["nats-server", "-c", str(configuration)], stderr=subprocess.DEVNULL)
        try:
            link = connected(port)
            print(websocket, server.pid, flush=True)
            for line in sys.stdin:
                _, first, count, size = line.split()
                texts = [event(int(first) + number, int(size)).encode() for number in range(int(count))]
                link.sendall(b"".join(b"PUB flight %d\r\n%b\r\n" % (len(text), text) for text in texts))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
