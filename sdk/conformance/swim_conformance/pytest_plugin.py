"""A pytest plugin: the fixture ``scripted_swim_server``, for tests of programs that listen to SWIM.

In ``conftest.py``: ``pytest_plugins = ["swim_conformance.pytest_plugin"]``. Then, in a test::

    def test_program_goes_on_after_a_restart(scripted_swim_server):
        server = scripted_swim_server({"connections": [[{"await": "subscribe"}, {"publish": 2}, {"close": 1012}]]})
        program = start_my_program(server.url)
        ...

A step that waited for the client in vain makes the test fail at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from swim_conformance.server_thread import ServerThread


@pytest.fixture
def scripted_swim_server() -> Iterator[Callable[..., ServerThread]]:
    """Start servers that play a script (decoded JSON, a Script, or a file's path); all end with the test."""
    with ExitStack() as stack:
        servers: list[ServerThread] = []

        def start(script: Any = None) -> ServerThread:
            server = stack.enter_context(ServerThread(script))
            servers.append(server)
            return server

        yield start
        failures = [failure for server in servers for failure in server.failures]
        if failures:
            pytest.fail("; ".join(failures))
