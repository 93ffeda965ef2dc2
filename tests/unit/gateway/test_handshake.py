"""The handshake by itself: bytes in; accepted, rejected or nothing yet out."""

from __future__ import annotations

import pytest
from support.gateway_rig import ACCEPT, Log, upgrade_request
from support.memory_broker import FIRST_MS
from support.virtual_clock import VirtualClock, clock_at
from swim_server.gateway import compression
from swim_server.gateway.handshake import Accepted, Handshake, HandshakeRules, PlainRequest, Rejected
from swim_server.gateway.listener_kind import ListenerKind
from swim_server.gateway.refusals import Refusals
from swim_server.gateway.tickets import Tickets
from websockets.protocol import State

PUBLIC = ListenerKind(False, 65_536, 1 << 20, compression.extensions())
LOCAL = ListenerKind(True, 1 << 24, 1 << 24)
MAX_HEAD_BYTES = 16_384
PEER = ("192.0.2.7", 50_000)


class Rules(HandshakeRules):
    """The rules of a service that lets everybody ask."""

    def __init__(self, *, is_draining: bool = False, serves_http: bool = False) -> None:
        refusals = Refusals(["127.0.0.1"], clock=VirtualClock(), log=Log())
        super().__init__(
            refusals,
            origins=None,
            is_draining=lambda: is_draining,
            is_good=lambda *_: False,
            clock=clock_at(FIRST_MS),
            max_head_bytes=MAX_HEAD_BYTES,
            serves_http=serves_http,
            tickets=Tickets(clock=clock_at(FIRST_MS)),
        )


def handshake(kind: ListenerKind = PUBLIC, *, is_draining: bool = False) -> Handshake:
    return Handshake(Rules(is_draining=is_draining), kind, PEER)


def accepted(outcome: Accepted | Rejected | PlainRequest | None) -> Accepted:
    assert isinstance(outcome, Accepted)
    return outcome


def test_accepted_request_tells_the_key_the_address_and_the_agent() -> None:
    outcome = accepted(handshake().receive(upgrade_request("/?api_key=dev", "User-Agent: someone/1.0")))
    assert (outcome.credential, outcome.address) == (("dev", "the query parameter api_key"), "192.0.2.7")
    assert outcome.user_agent == "someone/1.0"
    assert ACCEPT.encode() in outcome.answer
    assert outcome.protocol.state is State.OPEN


def test_nothing_is_decided_before_the_head_is_whole() -> None:
    request = upgrade_request()
    entrance = handshake()
    assert [entrance.receive(request[at : at + 1]) for at in range(len(request) - 1)] == [None] * (len(request) - 1)
    assert accepted(entrance.receive(request[-1:])).rest == b""


@pytest.mark.parametrize("headers", [(), ("X-Twice: a", "X-Twice: b")], ids=["everyday", "by the library"])
def test_what_follows_the_head_is_handed_back_unread(headers: tuple[str, ...]) -> None:
    assert accepted(handshake().receive(upgrade_request("/", *headers) + b"behind")).rest == b"behind"


def test_control_socket_looks_at_no_key() -> None:
    outcome = accepted(handshake(LOCAL).receive(upgrade_request("/?api_key=dev")))
    assert (outcome.credential.api_key, outcome.address) == ("", "local")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade_request("/elsewhere"), 404),
        (b"no HTTP at all\r\n\r\n", 400),
    ],
)
def test_what_cannot_be_upgraded_is_rejected_with_an_answer(request_bytes: bytes, status: int) -> None:
    outcome = handshake().receive(request_bytes)
    assert isinstance(outcome, Rejected)
    assert outcome.answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_draining_service_rejects_with_the_time_to_come_back() -> None:
    outcome = handshake(is_draining=True).receive(upgrade_request())
    assert isinstance(outcome, Rejected)
    assert b"Retry-After: 1\r\n" in outcome.answer


def plain(data: bytes, kind: ListenerKind = PUBLIC) -> object:
    return Handshake(Rules(serves_http=True), kind, PEER).receive(data)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /healthz HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_request_that_wants_no_websocket_is_handed_on_with_all_that_came(head: bytes) -> None:
    outcome = plain(head + b"more")
    assert isinstance(outcome, PlainRequest)
    assert outcome.data == head + b"more"


@pytest.mark.parametrize(
    "data",
    [
        upgrade_request(),
        upgrade_request().replace(b"GET", b"POST"),
        b"GET / HTTP/1.1\r\nUPGRADE:WebSocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_whatever_wants_a_websocket_or_is_no_request_is_answered_here(data: bytes) -> None:
    assert not isinstance(plain(data), PlainRequest)


def test_control_socket_serves_no_plain_requests() -> None:
    assert isinstance(plain(b"GET / HTTP/1.1\r\n\r\n", LOCAL), Rejected)


def test_head_that_is_too_long_is_refused_whole_or_not() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * MAX_HEAD_BYTES
    for data in (head, head + b"\r\n\r\n"):
        outcome = handshake().receive(data)
        assert isinstance(outcome, Rejected)
        assert outcome.answer.startswith(b"HTTP/1.1 431 ")


def test_head_of_just_the_limit_is_read() -> None:
    filler = MAX_HEAD_BYTES - len(upgrade_request("/", "X: "))
    parts = [f"X-{number}: {'x' * 4000}" for number in range(filler // 4009)]
    rest = MAX_HEAD_BYTES - len(upgrade_request("/", *parts, "Y: "))
    request = upgrade_request("/", *parts, "Y: " + "y" * rest)
    assert len(request) == MAX_HEAD_BYTES
    assert isinstance(handshake().receive(request), Accepted)


def test_first_line_that_is_no_request_is_refused_before_the_head_ends() -> None:
    outcome = handshake().receive(b"\x16\x03\x01\x02\n")
    assert isinstance(outcome, Rejected)
    assert outcome.answer.startswith(b"HTTP/1.1 400 ")
