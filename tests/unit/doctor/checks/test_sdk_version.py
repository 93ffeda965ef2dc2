"""Doctor compares clients with the newest version of the SDK, which is a separate distribution."""

from __future__ import annotations

from swim_client import __version__

from swimctl.doctor.checks.connections.clients import SDK_VERSION


def test_version_that_clients_are_held_against_is_that_of_the_sdk() -> None:
    assert __version__ == SDK_VERSION
