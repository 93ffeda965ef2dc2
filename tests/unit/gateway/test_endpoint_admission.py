"""Who is admitted, how many, and that each slot is released exactly once."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from support.gateway_rig import UNKNOWN, Client, Rig, close_frame, message, upgrade_request
from swim_server.gateway.entry import MAX_EARLY_BYTES
from swim_server.keys.records import Unavailable
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.admission import TierLimit


@pytest.fixture
async def slow(rig: Rig) -> Rig:
    """A gateway whose keys are answered when the test lets them."""
    rig.authenticator.is_slow = True
    return rig


async def _waiting(rig: Rig, key: str = "dev") -> Client:
    client = rig.admitted(key)
    await client.settle()
    return client


# The limit.


def test_sixth_public_client_is_refused_with_tier_current_and_limit(rig: Rig) -> None:
    clients = [rig.admitted("pub") for _ in range(6)]
    assert [client.types for client in clients] == [["connected"]] * 5 + [["CONNECTION_LIMIT"]]
    error = clients[5].messages[0]["data"]
    assert (error["tier"], error["current"], error["limit"]) == ("public", 5, 5)
    assert clients[5].close_code == 4002
    assert rig.authenticator.noted == [("limit", "192.0.2.7")]


@pytest.mark.parametrize("way", ["close frame", "end of stream", "reset", "nonsense", "closed by the operator"])
def test_place_of_a_client_that_leaves_is_free_at_once(rig: Rig, way: str) -> None:
    first, *_ = [rig.admitted("pub") for _ in range(5)]
    if way == "close frame":
        first.send(close_frame())
    elif way == "end of stream":
        first.transport.feed_eof()
    elif way == "reset":
        first.transport.lose(ConnectionResetError())
        rig.turn()
    elif way == "nonsense":
        first.send(b"\xff\xff\xff\xff")
    else:
        first.endpoint.close(CloseCode.SERVICE_RESTART)
        first.send(close_frame(1012))
        first.transport.feed_eof()
    assert rig.admission.current("public") == 4
    assert rig.admitted("pub").types == ["connected"]
    assert rig.admitted("pub").types == ["CONNECTION_LIMIT"]


def test_client_that_is_being_closed_holds_its_place_until_it_is_gone(rig: Rig) -> None:
    first, *_ = [rig.admitted("pub") for _ in range(5)]
    first.endpoint.close(CloseCode.SLOW_CONSUMER)
    assert rig.admitted("pub").types == ["CONNECTION_LIMIT"]
    rig.advance(5.2)
    assert first.is_gone
    assert rig.admitted("pub").types == ["connected"]


async def test_limit_of_a_single_key_is_kept() -> None:
    rig = await Rig({"developer": TierLimit(50, connections_per_key=1)}).open()
    assert rig.admitted().types == ["connected"]
    refused = rig.admitted()
    assert refused.types == ["CONNECTION_LIMIT"]
    assert "this key" in refused.messages[0]["message"]
    await rig.close()


def test_refused_client_is_closed_when_it_does_not_answer(rig: Rig) -> None:
    for _ in range(5):
        rig.admitted("pub")
    refused = rig.admitted("pub")
    rig.advance(5.2)
    assert refused.is_gone
    assert rig.admission.current("public") == 5


# Answers that take their time.


async def test_slow_answer_admits_when_it_comes(slow: Rig) -> None:
    client = await _waiting(slow)
    assert (client.status, client.types) == (101, [])
    slow.authenticator.answer_next()
    await client.settle()
    assert client.types == ["connected"]


async def test_slow_answer_refuses_when_it_comes(slow: Rig) -> None:
    client = await _waiting(slow)
    slow.authenticator.answer_next(UNKNOWN)
    await client.settle()
    assert (client.types, client.close_code) == (["AUTH_FAILED"], 4001)


async def test_database_that_is_away_sends_the_client_away_for_now(slow: Rig) -> None:
    client = await _waiting(slow)
    slow.authenticator.answer_next(Unavailable("the database is away"))
    await client.settle()
    assert (client.types, client.close_code) == (["AUTH_UNAVAILABLE"], 1013)
    assert "database" not in client.messages[0]["message"]


async def test_answer_that_never_comes_ends_in_1013(slow: Rig) -> None:
    client = await _waiting(slow)
    slow.advance(29.9)
    assert client.types == []
    slow.advance(0.3)
    await client.settle()
    assert (client.types, client.close_code) == (["AUTH_UNAVAILABLE"], 1013)
    slow.authenticator.answer_next()
    await client.settle()
    slow.advance(5.2)
    assert client.is_gone
    assert slow.admission.current("developer") == 0


async def test_client_that_goes_while_its_key_is_looked_up_takes_no_place(slow: Rig) -> None:
    for leave in ("feed_eof", "lose"):
        client = await _waiting(slow)
        getattr(client.transport, leave)()
        await client.settle()
        assert client.is_gone
        slow.authenticator.answer_next()
        await client.settle()
        assert slow.log.of("connected") == []
        assert slow.admission.current("developer") == 0


async def test_messages_sent_while_the_key_is_looked_up_are_answered_in_order(slow: Rig) -> None:
    client = await _waiting(slow)
    packet = message("ping") + message("subscribe", channels=["flight.*"]) + message("status")
    client.send(*(packet[at : at + 5] for at in range(0, len(packet), 5)))
    assert client.types == []
    slow.authenticator.answer_next()
    await client.settle()
    assert client.types == ["connected", "pong", "subscribed", "status"]


async def test_flood_before_admission_waits_on_the_clients_side(slow: Rig) -> None:
    client = await _waiting(slow)
    for _ in range(100):
        client.send(b"\x00" * 10_000)
    assert not client.transport.reads
    entry = client.endpoint._entry
    assert entry is not None
    assert len(entry._early) < MAX_EARLY_BYTES + 10_001
    slow.authenticator.answer_next()
    await client.settle()
    assert client.transport.reads
    assert client.close_code == 1002


async def test_refusals_of_an_over_eager_address_are_held_back_then_refused_before_the_upgrade(rig: Rig) -> None:
    held = 0
    for number in range(30):
        client = rig.admitted(f"guess-{number}")
        await client.settle()
        if client.status == 429:
            break
        held += client.types == []
        client.transport.lose()
        await client.settle()
    else:
        raise AssertionError("30 guesses were answered")
    assert held > 5
    assert "Retry-After: " in client.head
    assert rig.client(("198.51.100.1", 1)).send(upgrade_request()).status == 101
    rig.advance(200)
    assert rig.admitted().types == ["connected"]


async def test_known_good_client_comes_in_whoever_guesses_from_its_address(rig: Rig) -> None:
    for number in range(60):
        rig.refusals.failed("192.0.2.7", f"guess {number}", UNKNOWN)
    assert rig.client().send(upgrade_request("/?api_key=guess")).status == 429
    assert rig.admitted().types == ["connected"]


async def test_refusal_says_where_the_key_was_read(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?key=wrong"))
    await client.settle()
    (told,) = client.messages
    assert told["message"] == "The key is unknown. It was read from the query parameter key."
    assert told["data"]["read_from"] == "the query parameter key"
    assert "wrong" not in json.dumps(told)


async def test_refusal_without_a_key_names_no_place(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/"))
    await client.settle()
    assert client.messages[0]["message"] == "The key is missing."


async def test_client_that_leaves_while_its_refusal_is_held_back_leaves_nothing(rig: Rig) -> None:
    for number in range(8):
        client = rig.admitted(f"guess-{number}")
        await client.settle()
    client.transport.lose()
    await client.settle()
    assert client.is_gone
    assert client.types == []
    for endpoint in list(rig.gateway.peers):
        endpoint.abort()
    await client.settle()
    assert len(rig.tasks) == 0


# Every order of things.

LIMIT = 3


class AdmissionRaces(RuleBasedStateMachine):
    """Clients connect, are answered late or at once, leave in every way, in every order: never more than three."""

    connected = Bundle("connected")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clients: list[Client] = []

    @initialize()
    def start(self) -> None:
        self.rig = Rig({"public": TierLimit(LIMIT)})
        self.run(0)

    def run(self, turns: int = 3) -> None:
        async def settle() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
                self.rig.turn()

        self.loop.run_until_complete(settle())

    def connect(self, key: str, rest: bytes = b"") -> Client:
        async def connect() -> Client:
            return self.rig.client().send(upgrade_request(f"/?key={key}") + rest)

        client = self.loop.run_until_complete(connect())
        self.clients.append(client)
        self.run()
        return client

    @rule(target=connected, is_slow=st.booleans(), key=st.sampled_from(["pub", "pub", "pub", "nobody"]))
    def connects(self, is_slow: bool, key: str) -> Client:
        self.rig.authenticator.is_slow = is_slow
        return self.connect(key)

    @rule(is_slow=st.booleans())
    def connects_and_closes_in_one_breath(self, is_slow: bool) -> None:
        self.rig.authenticator.is_slow = is_slow
        self.connect("pub", close_frame())

    @rule()
    def late_answer(self) -> None:
        if self.rig.authenticator.waiters:
            self.rig.authenticator.answer_next()
        self.run()

    @rule(client=connected)
    def client_closes(self, client: Client) -> None:
        client.send(close_frame())

    @rule(client=connected)
    def server_closes(self, client: Client) -> None:
        client.endpoint.close(CloseCode.SERVICE_RESTART)

    @rule(client=connected)
    def server_aborts(self, client: Client) -> None:
        client.endpoint.abort()

    @rule(client=connected)
    def sends_garbage(self, client: Client) -> None:
        client.send(b"\xff\xff\xff")

    @rule(client=consumes(connected))
    def hangs_up(self, client: Client) -> None:
        client.transport.feed_eof()
        self.run()

    @rule(client=consumes(connected))
    def breaks_off(self, client: Client) -> None:
        if not client.is_gone:
            client.transport.lose(ConnectionResetError())
        self.run()

    @rule(seconds=st.sampled_from([0.5, 6, 31]))
    def time_passes(self, seconds: float) -> None:
        async def advance() -> None:
            self.rig.advance(seconds)

        self.loop.run_until_complete(advance())
        self.run()

    @invariant()
    def places_taken_are_the_clients_let_in_and_not_gone(self) -> None:
        if not hasattr(self, "rig"):
            return
        taken = self.rig.admission.current("public")
        held = sum(client.endpoint._admitted is not None for client in self.clients)
        assert taken == held <= LIMIT
        listening = {client.endpoint.connection.id for client in self.clients if client.endpoint.is_open}  # type: ignore[union-attr]  # an open endpoint has a connection
        assert listening == self.rig.hub.connections.keys()
        assert len(listening) <= taken
        assert sum(client.is_gone for client in self.clients) == len(self.clients) - len(self.rig.gateway.peers)
        assert self.rig.failures == []

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.loop.run_until_complete(self.rig.close())
        self.loop.close()


AdmissionRaces.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
TestAdmissionRaces = AdmissionRaces.TestCase
