"""The opening handshake of one connection: bytes in; accepted, refused or pending out. Knows no transport."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidMessage
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from swim_server.gateway.request import NO_CREDENTIAL, Credential, is_known_path, presented_key, query_value
from swim_server.gateway.upgrade import Upgrade, read_upgrade

if TYPE_CHECKING:
    from websockets.typing import Origin

    from swim_server.concurrency.clock import Clock
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.gateway.refusals import Refusals

EXTENSIONS = "Sec-WebSocket-Extensions"
END_OF_HEAD = b"\r\n\r\n"
MAX_USER_AGENT = 200
MAX_LINE_BYTES = 8192
NO_REQUEST = "This is not a WebSocket upgrade request.\n"
TOO_SLOW = "The request head took too long to arrive.\n"
TOO_LONG = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request head is too long.\n", Headers())

_REQUEST_LINE = re.compile(rb"[A-Z]{1,20} [!-~]+ HTTP/\d\.\d\r?")
_PLAIN_LINE = re.compile(rb"[A-Z]{1,20} [!-~]+ HTTP/1\.[01]\r\n")
_OF_A_WEBSOCKET = re.compile(rb"\n(?:upgrade[ \t]*:[^\r\n]*websocket|sec-websocket-)", re.IGNORECASE)

_library_log = logging.getLogger("websockets.server")


class Accepted(msgspec.Struct):
    """The request may be upgraded; its key is checked next."""

    answer: bytes
    """The 101 response: written before anything else."""
    protocol: ServerProtocol
    """The library's protocol, which reads the frames that follow."""
    credential: Credential
    address: str
    user_agent: str | None
    max_message_bytes: str | None
    """As given in the query."""
    rest: bytes
    """What came after the head, from a connection that is not yet admitted."""


class Rejected(msgspec.Struct):
    """No upgrade: the answer is written and the connection closed."""

    answer: bytes
    address: str | None = None
    """The client's address, if it was determined."""


class PlainRequest(msgspec.Struct):
    """A request that is not for a WebSocket: the plain HTTP server answers it."""

    data: bytes
    """Everything received so far."""
    address: str | None = None


class TicketOffice(Protocol):
    """Redeems tickets."""

    def redeem(self, ticket: str) -> str:
        """Return the key that a ticket stands for, or what stands for the ticket until it is decided about."""


class HandshakeRules:
    """The rules for all handshakes: which requests are accepted, before any key is checked."""

    def __init__(
        self,
        refusals: Refusals,
        *,
        origins: Sequence[Origin | None] | None,
        is_draining: Callable[[], bool],
        is_good: Callable[[str, str | None], bool],
        tickets: TicketOffice,
        clock: Clock,
        max_head_bytes: int,
        serves_http: bool = False,
    ) -> None:
        self.max_head_bytes = max_head_bytes
        self.serves_http = serves_http
        """Whether plain HTTP requests are served."""
        self.refusals = refusals
        self.origins = origins
        """The browser origins that may connect, and None for programs; None: any."""
        self.is_draining = is_draining
        self.tickets = tickets
        self.is_good = is_good
        """Tells whether a key is cached as valid for an address, without querying the database."""
        self._now_ms = clock.now_ms
        self._http_date = (-1, "")

    def http_date(self) -> str:
        """Return the current time in HTTP's format (RFC 9110, section 5.6.7); formatted once a second."""
        second = self._now_ms() // 1000
        if second != self._http_date[0]:
            self._http_date = (second, formatdate(second, usegmt=True))
        return self._http_date[1]


class Handshake:
    """Reads the head of one request, in any number of pieces, and answers it. Used until there is an outcome."""

    __slots__ = ("_address", "_head", "_kind", "_peer", "_rules")

    def __init__(self, rules: HandshakeRules, kind: ListenerKind, peer: Sequence[object] | None) -> None:
        self._rules = rules
        self._kind = kind
        self._peer = peer
        self._head = bytearray()
        self._address: str | None = None

    def receive(self, data: bytes) -> Accepted | Rejected | PlainRequest | None:
        """Read the next bytes; None while the head is incomplete. Nothing after the head is processed."""
        searched = max(len(self._head) - len(END_OF_HEAD), 0)
        self._head += data
        found = self._head.find(END_OF_HEAD, searched)
        if found < 0:
            return self._read_part()
        end = found + len(END_OF_HEAD)
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        if len(head) > self._rules.max_head_bytes:
            return self._reject(*TOO_LONG)
        if self._rules.serves_http and not self._kind.is_local and is_plain(head):
            return PlainRequest(head + rest)
        outcome = self._read_everyday(head, rest) if self._rules.origins is None else None
        return outcome or self._read_by_library(head, rest)

    def too_slow(self) -> Rejected | None:
        """Refuse a head that was begun but not completed in time; None: nothing was received."""
        return self._reject(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW, Headers()) if self._head else None

    def _read_part(self) -> Rejected | None:
        """Check an incomplete head: refuse what can't become a valid one."""
        if len(self._head) > self._rules.max_head_bytes:
            return self._reject(*TOO_LONG)
        line, newline, _ = bytes(self._head[:MAX_LINE_BYTES]).partition(b"\n")
        if newline and _REQUEST_LINE.fullmatch(line) is None:
            return self._reject(HTTPStatus.BAD_REQUEST, NO_REQUEST, Headers())
        return None

    def _read_everyday(self, head: bytes, rest: bytes) -> Accepted | Rejected | None:
        """Answer a common request; None if the library must read it, or refuse what it negotiates."""
        upgrade = read_upgrade(head)
        if upgrade is None:
            return None
        offered = Headers([(EXTENSIONS, value) for value in upgrade.headers.get_all(EXTENSIONS)])
        protocol = self._new_protocol(State.OPEN)
        try:
            negotiated, protocol.extensions = protocol.process_extensions(offered) if offered else (None, [])
        except InvalidHandshake:
            return None
        refusal = self._refusal(upgrade)
        if refusal is not None:
            return self._reject(*refusal)
        return self._accept(upgrade, upgrade.accept(self._rules.http_date(), negotiated), protocol, rest)

    def _read_by_library(self, head: bytes, rest: bytes) -> Accepted | Rejected:
        protocol = self._new_protocol(State.CONNECTING)
        protocol.receive_data(head)
        for event in protocol.events_received():
            if isinstance(event, Request):
                return self._answer(protocol, event, rest)
        if protocol.handshake_exc is None or isinstance(
            protocol.handshake_exc, InvalidMessage
        ):  # it has no opinion on that
            return self._reject(HTTPStatus.BAD_REQUEST, NO_REQUEST, Headers())
        return Rejected(b"".join(protocol.data_to_send()))

    def _answer(self, protocol: ServerProtocol, request: Request, rest: bytes) -> Accepted | Rejected:
        refusal = self._refusal(request)
        if refusal is not None:
            return self._reject(*refusal)
        protocol.send_response(protocol.accept(request))
        answer = b"".join(protocol.data_to_send())
        if protocol.state is not State.OPEN:
            return Rejected(answer)
        return self._accept(request, answer, protocol, rest)

    def _accept(self, request: Request | Upgrade, answer: bytes, protocol: ServerProtocol, rest: bytes) -> Accepted:
        return Accepted(
            answer=answer,
            protocol=protocol,
            credential=NO_CREDENTIAL if self._kind.is_local else self._credential(request),
            address=self._address or "local",
            user_agent=(request.headers.get_all("User-Agent") or [""])[0][:MAX_USER_AGENT] or None,
            max_message_bytes=query_value(request.path, "max_message_bytes"),
            rest=rest,
        )

    def _credential(self, request: Request | Upgrade) -> Credential:
        """Return the key of a request, or the one that its ticket stands for."""
        found, ticket = presented_key(request.path, request.headers), query_value(request.path, "ticket")
        if found.api_key or ticket is None:
            return found
        return Credential(self._rules.tickets.redeem(ticket), "the query parameter ticket")

    def _reject(self, status: HTTPStatus, text: str, extra: Headers) -> Rejected:
        response = self._new_protocol(State.CONNECTING).reject(status, text)
        response.headers.update(extra)
        return Rejected(response.serialize(), self._address)

    def _new_protocol(self, state: State) -> ServerProtocol:
        return ServerProtocol(
            origins=self._rules.origins,
            extensions=self._kind.extensions,
            state=state,
            max_size=self._kind.hard_limit_bytes,
            logger=_library_log,
        )

    def _brings_good_key(self, request: Request | Upgrade) -> bool:
        """Tell whether the client's key is known to be valid, even if others at its address guess keys."""
        return self._rules.is_good(presented_key(request.path, request.headers).api_key, self._address)

    def _refusal(self, request: Request | Upgrade) -> tuple[HTTPStatus, str, Headers] | None:
        """Return why a request is refused before its key is checked: status, text and further headers."""
        rules = self._rules
        if not is_known_path(request.path):
            return HTTPStatus.NOT_FOUND, "There is nothing at this path; connect to /api/swim/v1/ws\n", Headers()
        if rules.is_draining():
            return HTTPStatus.SERVICE_UNAVAILABLE, "The service is restarting.\n", Headers({"Retry-After": "1"})
        if self._kind.is_local:
            return None
        self._address = rules.refusals.address_of(self._peer, request.headers.get_all("X-Forwarded-For"))
        retry_after = rules.refusals.retry_after(self._address)
        if retry_after is not None and not self._brings_good_key(request):
            rules.refusals.note("over-eager", self._address)
            return (
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many refused keys from this address.\n",
                Headers({"Retry-After": str(retry_after)}),
            )
        return None


def open_protocol(kind: ListenerKind) -> ServerProtocol:
    """Make the library's protocol for frames alone, of a connection without extensions that was upgraded before."""
    return ServerProtocol(state=State.OPEN, max_size=kind.hard_limit_bytes, logger=_library_log)


def is_plain(head: bytes) -> bool:
    """Tell whether this is an HTTP/1 request that does not ask for a WebSocket, not even incorrectly."""
    return _PLAIN_LINE.match(head) is not None and _OF_A_WEBSOCKET.search(head) is None
