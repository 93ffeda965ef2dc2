"""Clients that asked for it are notified before a close with 1012; a maximum in the query applies from the start."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway_rig import Rig, client_frame, close_frame, message, upgrade_request
from swim_server.protocol.codes import CloseCode
from websockets.frames import Opcode

RESTART = CloseCode.SERVICE_RESTART


@pytest.mark.parametrize(
    "fields", [{"notices": True}, {"last": 1}, {"since": "2026-01-16T14:30:15Z"}, {"after": "1-0"}]
)
async def test_client_that_resumes_or_asked_for_notices_is_told_of_a_restart(rig: Rig, fields: dict[str, Any]) -> None:
    client = await rig.admitted().send(message("subscribe", channels=["flight.*"], **fields)).settle()
    client.endpoint.close(RESTART, "the service restarts; retry_ms=174", retry_ms=174)
    told = client.messages[-1]
    assert (told["type"], told["code"], told["data"]["retry_ms"]) == ("error", "RESTARTING", 174)
    assert client.frames[-1][0] is Opcode.CLOSE


def test_former_client_is_told_nothing_but_the_close(rig: Rig) -> None:
    client = rig.admitted().send(message("subscribe", channels=["flight.*"]))
    client.endpoint.close(RESTART, retry_ms=174)
    assert client.types == ["connected", "subscribed"]


@pytest.mark.parametrize("code", [code for code in CloseCode if code is not RESTART])
def test_other_closes_are_no_restart(rig: Rig, code: CloseCode) -> None:
    client = rig.admitted().send(message("subscribe", channels=["flight.*"], notices=True))
    client.endpoint.close(code)
    assert client.types == ["connected", "subscribed"]


def test_close_of_the_client_itself_is_no_restart(rig: Rig) -> None:
    client = rig.admitted().send(message("subscribe", channels=["flight.*"], notices=True), close_frame(1012))
    assert client.types == ["connected", "subscribed"]


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_notices_are_true_or_false(rig: Rig, value: object) -> None:
    assert (
        rig.admitted().send(message("subscribe", channels=["flight.*"], notices=value)).types[-1] == "INVALID_SUBSCRIBE"
    )


def test_longest_message_of_the_query_holds(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev&max_message_bytes=8192"))
    assert client.types == ["connected"]
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.max_message_bytes == 8192


@pytest.mark.parametrize("value", ["100", "many", "-5", "²"])
def test_longest_message_that_cannot_be_read_is_told_and_the_client_stays(rig: Rig, value: str) -> None:
    request = upgrade_request(f"/?api_key=dev&max_message_bytes={value}".encode().decode("latin-1"))
    client = rig.client().send(request.replace("²".encode(), b"%C2%B2"))
    assert client.types == ["connected", "INVALID_SUBSCRIBE"]
    assert client.send(client_frame('{"action":"ping"}')).types[-1] == "pong"
