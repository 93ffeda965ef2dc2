#!/usr/bin/env bash
# websockets' Sans-I/O protocol, whose events are taken out as its documentation says: one would expect a message to be
# freed once the program has let go of it. Instead the parser, a generator, holds the last frame that it made until the
# next one has come: each idle connection keeps its client's last message, inflated. Emptying frame.data frees it.
#
# Seen with websockets 17.4 (Python 3.11): 50 idle connections, each after one message of 1,000,000 bytes, which came
# as some 1,000 bytes:
#   events taken out and dropped:   50,000,000 bytes held
#   with frame.data = b"" besides:           0 bytes held
#
# Exits 0 while that is so, 1 when it has changed, 2 when it can't be tried. Needs python3-venv, a network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cannot() { echo "can't be tried: $*" >&2; exit 2; }

python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -q websockets==17.4 || cannot "pip install websockets==17.4"
cat > "$folder/try.py" <<'PYTHON'
import gc
import platform
import sys
import tracemalloc

import websockets
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

SIZE, CONNECTIONS = 1_000_000, 50


def deflate() -> PerMessageDeflate:
    return PerMessageDeflate(True, True, 15, 15)


def held(*, empties: bool) -> int:
    """Bytes that idle connections hold, in millions."""
    packet = Frame(Opcode.TEXT, b"x" * SIZE).serialize(mask=True, extensions=[deflate()])
    gc.collect()
    tracemalloc.start()
    connections = []
    for _ in range(CONNECTIONS):
        protocol = ServerProtocol(state=State.OPEN, max_size=2 * SIZE)
        protocol.extensions = [deflate()]
        protocol.receive_data(packet)
        for frame in protocol.events_received():
            assert len(frame.data) == SIZE
            if empties:
                frame.data = b""
        del frame
        connections.append(protocol)
    gc.collect()
    found = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return round(found / SIZE)


print(f"websockets {websockets.__version__}, Python {platform.python_version()}")
dropped, emptied = held(empties=False), held(empties=True)
print(f"events taken out and dropped: {dropped},000,000 bytes held by {CONNECTIONS} idle connections")
print(f'with frame.data = b"" besides: {emptied},000,000 bytes')
sys.exit(0 if dropped >= CONNECTIONS and emptied <= 2 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
