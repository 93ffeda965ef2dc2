"""TCP sockets of this network namespace as the kernel selects them (sock_diag(7)): by state and port.

``/proc/net/tcp`` has all of them as text: milliseconds for an idle machine, a second for one with many clients.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
NLM_F_REQUEST, NLM_F_DUMP = 0x001, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id."""
_REQUEST = struct.Struct("=BBxxI2s2s16x16x4x8x")
"""inet_diag_req_v2: family, protocol, states, then the socket's id: ports in network order, nothing else."""
_ANSWER = struct.Struct("=BBxx2s2s16s16s4x8x16xI")
"""inet_diag_msg: family, state, ports, addresses, inode."""
_READ_BYTES = 1 << 18
SECONDS = 2.0


class TcpSocket(NamedTuple):
    """One socket."""

    state: int
    """As ``/proc/net/tcp`` numbers it: 1 established, 10 listening."""
    local: bytes
    """The address, in network order."""
    inode: str


def tcp_sockets(states: int, *, local_port: int = 0, remote_port: int = 0) -> list[TcpSocket]:
    """List the sockets in one of these states, a bit for each, and with these ports; 0: any. Raises OSError."""
    found: list[TcpSocket] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(SECONDS)
        for family in (socket.AF_INET, socket.AF_INET6):
            ports = local_port.to_bytes(2, "big"), remote_port.to_bytes(2, "big")
            body = _REQUEST.pack(family, socket.IPPROTO_TCP, states, *ports)
            head = _HEADER.pack(
                _HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, int(family), 0
            )
            kernel.send(head + body)
            found += _answers(kernel)
    return found


def _answers(kernel: socket.socket) -> Iterator[TcpSocket]:
    while True:
        data = kernel.recv(_READ_BYTES)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            body = at + _HEADER.size
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR or length < _HEADER.size:
                code = struct.unpack_from("=i", data, body)[0] if kind == NLMSG_ERROR else 0
                raise OSError(-code, "the kernel lists no sockets")
            family, state, _, _, local, _, inode = _ANSWER.unpack_from(data, body)
            yield TcpSocket(state, local[:4] if family == socket.AF_INET else local, str(inode))
            at += (length + 3) & ~3


def as_in_proc(address: bytes) -> str:
    """Return an address in hexadecimal as ``/proc/net/tcp`` has it: words of four bytes, each in the CPU's order."""
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(address) // 4}I", address))
