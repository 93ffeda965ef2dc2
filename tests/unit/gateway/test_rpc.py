"""JSON-RPC 2.0 on the control socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.gateway_rig import Client, Rig, client_frame, message
from swim_server.gateway.rpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNAVAILABLE,
    RpcError,
)


async def _double(params: Mapping[str, Any]) -> Any:
    return {"doubled": params.get("number", 0) * 2}


async def _unavailable(params: Mapping[str, Any]) -> Any:
    raise RpcError(UNAVAILABLE, "not at the moment", {"retry": True})


async def _broken(params: Mapping[str, Any]) -> Any:
    raise KeyError("a secret of the inside")


async def _unspeakable(params: Mapping[str, Any]) -> Any:
    return {"name": "\udcff"}


async def _ask(rig: Rig, *requests: Any) -> list[Any]:
    rig.rpc.methods.update(double=_double, unavailable=_unavailable, broken=_broken, unspeakable=_unspeakable)
    client = rig.local_client()
    client.send(*(client_frame(each if isinstance(each, bytes) else json.dumps(each)) for each in requests))
    await client.settle()
    return _answers(client)


def _answers(client: Client) -> list[Any]:
    return [received for received in map(json.loads, (p for o, p in client.frames if o == 1)) if "jsonrpc" in received]


def _request(method: object, **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, **fields}


async def test_request_is_answered_with_its_id(rig: Rig) -> None:
    answers = await _ask(rig, _request("double", params={"number": 21}))
    assert answers == [{"jsonrpc": "2.0", "id": 1, "result": {"doubled": 42}}]


@pytest.mark.parametrize("identifier", [0, -5, "a", "", 1.5, None])
async def test_any_id_comes_back(rig: Rig, identifier: object) -> None:
    (answer,) = await _ask(rig, {**_request("double"), "id": identifier})
    assert answer["id"] == identifier


async def test_request_without_params_has_none(rig: Rig) -> None:
    assert (await _ask(rig, _request("double")))[0]["result"] == {"doubled": 0}


async def test_notification_is_performed_and_not_answered(rig: Rig) -> None:
    seen: list[Mapping[str, Any]] = []

    async def note(params: Mapping[str, Any]) -> None:
        seen.append(params)

    rig.rpc.methods["note"] = note
    assert await _ask(rig, {"jsonrpc": "2.0", "method": "note", "params": {"a": 1}}) == []
    assert seen == [{"a": 1}]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "method"', PARSE_ERROR),
        (b'"jsonrpc"', INVALID_REQUEST),
        ([_request("double")], INVALID_REQUEST),
        (_request(7), INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1}, INVALID_REQUEST),
        (_request("fly"), METHOD_NOT_FOUND),
        (_request("double", params=[1]), INVALID_PARAMS),
        (_request("unavailable"), UNAVAILABLE),
        (_request("broken"), INTERNAL_ERROR),
        (_request("unspeakable"), INTERNAL_ERROR),
    ],
)
async def test_request_that_cannot_be_performed_is_answered_with_its_code(
    rig: Rig, request_: object, code: int
) -> None:
    (answer,) = await _ask(rig, request_)
    assert answer["error"]["code"] == code
    assert "result" not in answer
    assert "secret" not in json.dumps(answer)
    rig.failures.clear()


async def test_failure_of_a_method_is_reported_and_the_next_is_answered(rig: Rig) -> None:
    answers = await _ask(rig, _request("broken"), _request("double"))
    assert [("error" in answer, "result" in answer) for answer in answers] == [(True, False), (False, True)]
    assert [type(failure) for failure in rig.failures] == [KeyError]
    rig.failures.clear()


async def test_error_details_are_passed_on(rig: Rig) -> None:
    (answer,) = await _ask(rig, _request("unavailable"))
    assert answer["error"] == {"code": UNAVAILABLE, "message": "not at the moment", "data": {"retry": True}}


async def test_wire_messages_and_requests_share_the_connection(rig: Rig) -> None:
    rig.rpc.methods["double"] = _double
    client = rig.local_client().send(message("ping"), client_frame(json.dumps(_request("double"))), message("ping"))
    await client.settle()
    assert len(_answers(client)) == 1
    assert sum(json.loads(payload).get("type") == "pong" for _, payload in client.frames) == 2


async def test_published_data_that_speaks_of_jsonrpc_is_no_request(rig: Rig) -> None:
    client = rig.local_client()
    await client.send(message("publish", channel="system.notice", data={"jsonrpc": "2.0", "a": "jsonrpc"})).settle()
    assert client.types == ["connected", "publish_ack"]
    assert len(rig.broker.events) == 1


async def test_request_from_the_public_door_is_no_request(rig: Rig) -> None:
    rig.rpc.methods["double"] = _double
    client = rig.admitted("sys").send(client_frame(json.dumps(_request("double"))))
    await client.settle()
    assert client.types == ["connected", "UNKNOWN_ACTION"]
