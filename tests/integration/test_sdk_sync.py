"""The client for synchronous code: ``with``, ``for``, handlers beside them, and threads that end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from swim_client import AuthenticationError, ClientStopped, RequestRefused
from swim_client.sync import SWIMClient
from swim_conformance.server_thread import ServerThread

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
CUT = {
    "connections": [
        [{"await": "subscribe"}, {"publish": 2}, {"cut": True}],
        [{"store": 1}, {"greet": True}, {"await": "subscribe"}, {"publish": 1}],
    ]
}
FLIGHTS = [{"callsign": "BAW1", "flight_uid": 1}, {"callsign": "AFR2", "flight_uid": 2}]
STATE = {"connections": [[{"state": FLIGHTS}, {"greet": True}]]}
REVOKED = {"connections": [[{"await": "subscribe"}, {"publish": 1}, {"close": 4001, "reason": "revoked"}]]}
THREADS = "swim-client"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 20
    while names := [thread.name for thread in threading.enumerate() if thread.name.startswith(THREADS)]:
        assert time.monotonic() < deadline, f"{names} are left"
        time.sleep(0.01)


def client_of(server: ServerThread, **settings: Any) -> SWIMClient:
    return SWIMClient(KEY, server.url, reconnect_interval=0.01, **settings)


def subscribed_channels(server: ServerThread) -> set[str]:
    return {name for message in server.received(1, "subscribe") for name in message["channels"]}


def test_loop_goes_on_over_a_break_and_gets_each_event_once() -> None:
    with ServerThread(CUT) as server, client_of(server) as client:
        seen = []
        for event in client.events(["flight.*"], airports=["KJFK"]):
            seen.append(event["n"])
            if len(seen) == 4:
                break
        assert seen == [1, 2, 3, 4]
        assert server.received(1, "subscribe")[0]["filters"] == {"airports": ["KJFK"]}
        assert client.connected
    assert not client.connected


def test_handlers_run_beside_the_loop_and_may_block() -> None:
    """A handler has a thread of its own: neither the network nor the program waits for it."""
    with ServerThread() as server, client_of(server) as client:
        is_free, names, answered = threading.Event(), [], []

        @client.on("tmi.issued")
        def block(event: Any) -> None:
            names.append(threading.current_thread().name)
            answered.append(client.ping().result(20).type)
            is_free.wait(20)

        client.subscribe(["flight.*", "tmi.*"]).result(20)
        server.publish("tmi.issued")
        server.wait_until(lambda: answered)
        assert client.status().result(20).type == "status"
        is_free.set()
        assert (names, answered) == (["swim-client-handlers"], ["pong"])


def test_loop_ends_when_nothing_comes_for_so_long() -> None:
    with ServerThread() as server, client_of(server) as client:
        assert list(client.events(["flight.*"], timeout=0.05)) == []


def test_loop_ends_when_another_thread_stops_the_client() -> None:
    with ServerThread() as server, client_of(server) as client:
        stopping = threading.Timer(0.05, client.stop)
        stopping.start()
        assert list(client.events(["flight.*"])) == []
        stopping.join()


def test_two_threads_loop_at_once() -> None:
    with ServerThread() as server, client_of(server) as client:
        seen: dict[str, list[int]] = {"flight.*": [], "tmi.*": []}

        def collect(pattern: str) -> None:
            for event in client.events([pattern]):
                seen[pattern].append(event["n"])
                if len(seen[pattern]) == 3:
                    return

        threads = [threading.Thread(target=collect, args=(pattern,)) for pattern in seen]
        for thread in threads:
            thread.start()
        server.wait_until(lambda: subscribed_channels(server) == set(seen))
        client.ping().result(20)
        for number in range(6):
            server.publish("tmi.issued" if number % 2 else "flight.created", {"n": number})
        for thread in threads:
            thread.join(20)
    assert seen == {"flight.*": [0, 2, 4], "tmi.*": [1, 3, 5]}


def test_loop_that_was_left_open_does_not_keep_the_block_from_ending() -> None:
    with ServerThread({"connections": [[{"await": "subscribe"}, {"publish": 2}]]}) as server:
        with client_of(server) as client:
            events = client.events(["flight.*"])
            assert next(events)["n"] == 1
        assert client.last_event_id == server.server.history.ids[1]
        assert list(events) == []


def test_snapshot_is_the_flights_that_there_are() -> None:
    with ServerThread(STATE) as server, client_of(server) as client:
        assert {flight.callsign for flight in client.snapshot(timeout=20)} == {"BAW1", "AFR2"}
        assert client.flights.complete().result(1) is None
        assert client.flights[1].callsign == "BAW1"


def test_snapshot_that_does_not_come_is_a_timeout_or_ends_with_the_client() -> None:
    with (
        ServerThread({"connections": [[{"on": "subscribe", "say": []}, {"greet": True}]]}) as server,
        client_of(server) as client,
    ):
        with pytest.raises(TimeoutError):
            client.snapshot(timeout=0.05)
        waiting = client.flights.complete()
        client.stop()
        with pytest.raises(ClientStopped):
            waiting.result(20)


def test_revoked_key_ends_the_loop_and_the_block_with_the_error() -> None:
    with ServerThread(REVOKED) as server:
        seen = []
        with pytest.raises(AuthenticationError, match="revoked"), client_of(server) as client:
            for event in client.events(["flight.*"]):
                seen.append(event["n"])
        assert seen == [1]
        with pytest.raises(AuthenticationError, match="revoked"):
            next(client.events())


def test_refused_subscription_ends_the_loop_with_the_reason() -> None:
    refusal = {"type": "error", "code": "INVALID_CHANNEL", "message": "no such channel: x"}
    script = {"connections": [[{"on": "subscribe", "say": [refusal]}, {"greet": True}]]}
    with ServerThread(script) as server, pytest.raises(RequestRefused), client_of(server) as client:
        next(client.events(["x"]))


def test_refused_key_never_enters() -> None:
    script = {"connections": [[{"greet": False}, {"close": 4001, "reason": "unknown key"}]]}
    with ServerThread(script) as server, pytest.raises(AuthenticationError, match="unknown key"), client_of(server):
        raise AssertionError("never entered")


def test_server_that_is_not_there_is_waited_for_so_long_and_no_longer() -> None:
    client = SWIMClient(KEY, "ws://127.0.0.1:9/")
    with pytest.raises(TimeoutError):
        client.connect(timeout=0.1)
    assert not client.connected


def test_connect_run_and_disconnect_as_the_async_client_has_them() -> None:
    with ServerThread() as server:
        client = client_of(server)
        assert client.connect() and client.connect()
        assert client.client_id
        stopping = threading.Timer(0.05, client.disconnect)
        stopping.start()
        client.run()
        assert not client.connected
        assert client.connect()
        client.disconnect().result(20)
        assert len(server.server.connections) == 2


def test_stop_that_comes_before_the_connection_is_no_connection() -> None:
    """Whichever thread is first, the client ends."""
    with ServerThread({"connections": [[{"greet": False}]]}) as server:
        for _ in range(5):
            client = client_of(server)
            connecting = threading.Thread(target=client.connect)
            connecting.start()
            while connecting.is_alive():
                client.stop().result(20)
            connecting.join()
            assert not client.connected


def test_handler_is_told_what_it_can_not_wait_for() -> None:
    with ServerThread(STATE) as server, client_of(server) as client:
        errors: list[BaseException] = []

        @client.on("pong")
        def wait() -> None:
            loop = client.events()
            for attempt in (client.snapshot, client.run, lambda: next(loop), client.flights.complete().result):
                try:
                    attempt()
                except RuntimeError as error:
                    errors.append(error)

        client.ping().result(20)
        server.wait_until(lambda: len(errors) == 4)
        assert "snapshot: waits for what comes through the handlers" in str(errors[0])


def test_loop_of_a_client_that_does_not_run_is_an_error_not_a_wait() -> None:
    with pytest.raises(RuntimeError, match=r"isn't running: loop inside `with client:`"):
        next(SWIMClient(KEY).events(["flight.*"]))
