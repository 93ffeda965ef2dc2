"""Who may read the metrics: the bearer of the operator's token, or a request from the machine itself."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from swim_server.gateway.http.operator_access import OperatorAccess, is_loopback

LOCAL = {"Host": "localhost:8090"}


def allowed(
    headers: dict[str, str], *, peer: str | None = "127.0.0.1", token: str | None = "s3cret", public: bool = False
) -> bool:
    transport = Mock()
    transport.get_extra_info.return_value = (peer, 4711) if peer is not None else None
    request = make_mocked_request("GET", "/metrics", headers, transport=transport)
    return OperatorAccess(token, has_public_url=public).is_allowed(request)


def test_token_decides_wherever_the_request_comes_from() -> None:
    assert allowed({"Authorization": "Bearer s3cret", "Via": "1.1 proxy"}, peer="192.0.2.1", public=True)
    assert allowed({"Authorization": "bearer  s3cret "})
    assert not allowed({"Authorization": "Bearer wrong", **LOCAL})
    assert not allowed({"Authorization": "Bearer s3cret", "Host": "example.org"}, token=None)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.:80", "127.0.0.1:8090", "[::1]:8090", "[::1]"])
def test_request_of_the_machine_itself_needs_no_token(host: str) -> None:
    assert allowed({"Host": host})
    assert allowed({"Host": host}, peer="::ffff:127.0.0.1", token=None)


@pytest.mark.parametrize("name", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "x-forwarded-anything"])
def test_request_through_a_proxy_needs_the_token(name: str) -> None:
    assert not allowed({**LOCAL, name: "127.0.0.1"})


@pytest.mark.parametrize(("host", "peer"), [("swim.example.org", "127.0.0.1"), ("localhost", "192.0.2.1"), ("", "::1")])
def test_another_name_or_address_needs_the_token(host: str, peer: str) -> None:
    assert not allowed({"Host": host}, peer=peer)


def test_service_with_a_public_address_and_connection_without_a_peer_need_the_token() -> None:
    assert not allowed(LOCAL, public=True)
    assert not allowed(LOCAL, peer=None)


def test_loopback_is_told_by_address_and_by_name() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "::1%lo", "::ffff:127.0.0.1", "LocalHost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "fe80::1", "localhost.example.org", "")))
