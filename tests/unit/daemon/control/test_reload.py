"""A configuration reloaded: what changes at once, what waits for a restart, and that nothing else is touched."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server import logs
from swim_server.config import Config, LoadedConfig, SimulatorSourceConfig, TierConfig
from swim_server.config.differences import differences
from swim_server.daemon.control.reload import Reloader
from swim_server.daemon.rules import tier_limits
from swim_server.daemon.running_config import RunningConfig
from swim_server.protocol.channels import Catalogue
from swim_server.streaming.admission import Admission


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, set()),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a.c"}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a"}),
        ({"a": 1}, {}, {"a"}),
        ({}, {"a": None}, set()),
        ({"a": {}}, {"a": None}, {"a"}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 1, "d": 2}}}, {"a.b.d"}),
        ({"a": True}, {"a": 1}, set()),
    ],
)
def test_differences_are_told_by_dotted_names(before: Any, after: Any, expected: set[str]) -> None:
    assert differences(before, after) == expected


@given(st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.integers())))
def test_a_configuration_does_not_differ_from_itself(document: dict[str, Any]) -> None:
    assert differences(document, document) == set()


class Conversation:
    publishing: Any = None


class KeyWatch:
    recheck_seconds = 30.0


class Log:
    def info(self, event: str, **fields: Any) -> None: ...


class Sources:
    def __init__(self) -> None:
        self.replaced: list[Config] = []

    async def replace(self, config: Config) -> None:
        self.replaced.append(config)


class RunningParts:
    """The parts of a daemon that a reload touches."""

    def __init__(self, config: Config) -> None:
        self.config = RunningConfig(LoadedConfig(config, {}, ()))
        self.admission = Admission(tier_limits(config.tiers))
        self.key_watch = KeyWatch()
        self.conversation = Conversation()
        self.catalogue = Catalogue()
        self.log = Log()
        self.log_stream = io.StringIO()
        self.sources = Sources()
        self.tls = None
        self.workers = None


def _changed(config: Config, **sections: dict[str, Any]) -> Config:
    replaced = {name: msgspec.structs.replace(getattr(config, name), **fields) for name, fields in sections.items()}
    return msgspec.structs.replace(config, **replaced)


async def _apply(parts: Any, config: Config) -> tuple[list[str], list[str]]:
    answer = await Reloader(parts, None, lambda: "").apply(config)
    return answer.changed, answer.needs_restart


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Each call that configures logging."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(logs, "configure", lambda *arguments: calls.append(arguments))
    return calls


async def test_unchanged_configuration_changes_nothing(configured: list[Any]) -> None:
    parts = RunningParts(Config())
    assert await _apply(parts, Config()) == ([], [])
    assert parts.sources.replaced == configured == []


async def test_limits_hold_at_once(configured: list[Any]) -> None:
    parts = RunningParts(Config())
    config = _changed(Config(), tiers={"public": TierConfig(connections=1)})
    assert await _apply(parts, config) == (["tiers.public.connections"], [])
    assert parts.admission.admit("public", 1) is None
    assert parts.admission.admit("public", 1) is not None


async def test_log_goes_on_to_where_it_went(configured: list[Any]) -> None:
    parts = RunningParts(Config())
    config = _changed(Config(), logging={"level": "debug", "file": "/elsewhere.log"})
    assert await _apply(parts, config) == (["logging.level"], ["logging.file"])
    assert configured == [("debug", "text", parts.log_stream)]


async def test_what_waits_for_a_restart_is_told_again_and_what_was_applied_is_not(configured: list[Any]) -> None:
    parts = RunningParts(Config())
    config = _changed(
        Config(),
        server={"port": 1, "heartbeat_seconds": 5},
        auth={"recheck_seconds": 5, "cache_seconds": 5},
        logging={"level": "debug", "file": "/elsewhere.log"},
    )
    waiting = ["auth.cache_seconds", "logging.file", "server.heartbeat_seconds", "server.port"]
    assert await _apply(parts, config) == (["auth.recheck_seconds", "logging.level"], waiting)
    assert parts.key_watch.recheck_seconds == 5
    assert await _apply(parts, config) == ([], waiting)


async def test_sources_are_replaced_only_when_they_changed(configured: list[Any]) -> None:
    parts = RunningParts(Config())
    config = msgspec.structs.replace(Config(), sources=[SimulatorSourceConfig()])
    assert await _apply(parts, config) == (["sources"], [])
    assert parts.sources.replaced == [config]
    assert await _apply(parts, config) == ([], [])
    assert parts.sources.replaced == [config]
