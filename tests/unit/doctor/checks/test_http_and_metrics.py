"""What doctor concludes from an answer over plain HTTP, and from when the metrics were read."""

from __future__ import annotations

import pytest
from support.fake_context import FakeContext, status_document

from swimctl.doctor.checks.process.metrics import are_read
from swimctl.doctor.probes.plain_http import base_of, read


@pytest.mark.parametrize(
    ("age", "pace", "status"),
    [(None, None, "skip"), (4000.0, None, "skip"), (12.0, 15.0, "ok"), (290.0, 15.0, "ok"), (400.0, 15.0, "warn"),
     (400.0, 120.0, "ok")],
)  # fmt: skip
async def test_metrics_that_nobody_reads_any_more_are_told(
    context: FakeContext, age: float | None, pace: float | None, status: str
) -> None:
    context.answers["status"] = status_document(metrics_read_age_seconds=age, metrics_pace_seconds=pace)
    assert (await are_read(context)).status == status


@pytest.mark.parametrize(
    ("url", "base"),
    [("wss://swim.test/api/swim/v1/ws", "/api/swim/v1"), ("wss://swim.test/swim/ws", "/swim"),
     ("ws://swim.test:8080", "/api/swim/v1"), ("wss://swim.test/ws/swim/v1", "/api/swim/v1")],
)  # fmt: skip
def test_plain_http_lives_beside_the_websocket(url: str, base: str) -> None:
    assert base_of(url) == base


def test_answer_of_the_service_is_told_from_that_of_a_proxy() -> None:
    state = b'HTTP/1.1 200 OK\r\nServer: swim\r\n\r\n{"flights":[],"as_of":"1-0"}'
    assert read("/flights", state).is_state
    chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n{"as_of":"1-0","flights":[]}\r\n0\r\n\r\n'
    assert read("/flights", chunked).is_state
    refused = read("/flights", b'HTTP/1.1 401 Unauthorized\r\n\r\n{"code":"AUTH_FAILED"}')
    assert (refused.status, refused.code, refused.is_state) == (401, "AUTH_FAILED", False)
    page = read("/flights", b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n<html>{}</html>")
    assert (page.status, page.code) == (404, None)
    assert read("/flights", b"").trouble == "cut off without an answer"
    assert read("/flights", b"SSH-2.0-OpenSSH\r\n").trouble == "what came is no HTTP"
