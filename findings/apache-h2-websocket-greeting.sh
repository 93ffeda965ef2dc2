#!/usr/bin/env bash
# Apache httpd with "H2WebSockets on": what a backend sends in one piece with its answer to the upgrade (101) is held
# back from a client that opened its WebSocket over HTTP/2 (RFC 8441), until the backend sends something more. A server
# that greets its clients is not heard. Over HTTP/1.1 the same greeting arrives at once.
#
# Seen with apache2-bin 2.4.71-1~deb12u1 (Debian 12) and h2 4.4.1:
#   HTTP/1.1: greeting at once
#   HTTP/2:   no greeting within 3 s; it comes with the next message of the backend
#
# Exits 0 while that is so, 1 when it has changed, 2 when it can't be tried. Needs Debian 12, python3-venv, a network.
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cannot() { echo "can't be tried: $*" >&2; exit 2; }

cd "$folder"
# _apt, as which apt-get downloads, may not write here.
apt-get download -q -o APT::Sandbox::User=root apache2-bin=2.4.71-1~deb12u1 libapr1 libaprutil1 libnghttp2-14 \
  > download.txt 2>&1 || cannot "$(tail -1 download.txt)"
for package in *.deb; do dpkg -x "$package" root; done
python3 -m venv venv && venv/bin/pip install -q h2==4.4.1 || cannot "pip install h2==4.4.1"

read -r front back < <(python3 -c '
import socket
a, b = socket.socket(), socket.socket(); a.bind(("127.0.0.1", 0)); b.bind(("127.0.0.1", 0))
print(a.getsockname()[1], b.getsockname()[1])')
modules=$folder/root/usr/lib/apache2/modules
cat > httpd.conf <<CONF
ServerRoot "$folder"
ServerName localhost
PidFile $folder/httpd.pid
DefaultRuntimeDir $folder
Mutex file:$folder default
ErrorLog $folder/error.log
$(for name in mpm_event authz_core proxy proxy_http http2; do echo "LoadModule ${name}_module $modules/mod_$name.so"; done)
$([ "$(id -u)" != 0 ] || printf 'User nobody\nGroup nogroup\n')
Listen 127.0.0.1:$front
Protocols h2c http/1.1
H2WebSockets on
ProxyPass "/" "http://127.0.0.1:$back/" upgrade=websocket
CONF
chmod 755 "$folder"
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/usr/lib/aarch64-linux-gnu
root/usr/sbin/apache2 -v | head -1
root/usr/sbin/apache2 -DFOREGROUND -f "$folder/httpd.conf" > start.txt 2>&1 &
server=$!
cat > probe.py <<'PYTHON'
import base64, hashlib, socket, sys, threading, time
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged

FRONT, BACK = int(sys.argv[1]), int(sys.argv[2])
GREETING, ANSWER = b"\x81\x05hello", b"\x81\x06answer"
QUESTION = b"\x81\x80\0\0\0\0"


def backend(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def serve(line):
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(4096)
    key = next(row.split(b":")[1].strip() for row in head.split(b"\r\n") if row.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    line.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + GREETING)  # one piece
    while line.recv(4096):
        line.sendall(ANSWER)


def reach():
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", FRONT), 5)
        except OSError:
            time.sleep(0.05)
    sys.exit(2)


def over_http1():
    line = reach()
    line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    line.settimeout(3)
    received = b""
    try:
        while GREETING not in received:
            received += line.recv(4096)
    except TimeoutError:
        return False
    return True


def over_http2():
    line, http, got, settings = reach(), H2Connection(H2Configuration(client_side=True)), b"", False

    def exchange(seconds, is_done):
        nonlocal got, settings
        end = time.monotonic() + seconds
        while not is_done() and time.monotonic() < end:
            line.sendall(http.data_to_send())
            line.settimeout(max(end - time.monotonic(), 0.01))
            try:
                events = http.receive_data(line.recv(65536))
            except TimeoutError:
                break
            for event in events:
                settings |= isinstance(event, RemoteSettingsChanged)
                if isinstance(event, DataReceived):
                    got += event.data
        line.sendall(http.data_to_send())

    http.initiate_connection()
    exchange(5, lambda: settings)
    http.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"),
                          (":authority", "localhost"), ("sec-websocket-version", "13")])
    exchange(3, lambda: GREETING in got)
    at_once = GREETING in got
    http.send_data(1, QUESTION)
    exchange(5, lambda: ANSWER in got)
    return at_once, got.startswith(GREETING) and ANSWER in got


listener = socket.create_server(("127.0.0.1", BACK))
threading.Thread(target=backend, args=(listener,), daemon=True).start()
first = over_http1()
at_once, later = over_http2()
print("HTTP/1.1:", "greeting at once" if first else "no greeting within 3 s")
print("HTTP/2:  ", "greeting at once" if at_once else "no greeting within 3 s;",
      "" if at_once else "it comes with the next message of the backend" if later else "nor later")
sys.exit(0 if (first, at_once, later) == (True, False, True) else 1)
PYTHON
venv/bin/python probe.py "$front" "$back"
