"""Every command, setting and message of the protocol stands in a document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from swim_server.config.parse_value import setting_names
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.protocol.messages import ACTIONS

from swimctl.app import load_command
from swimctl.command_table import ENTRIES
from swimctl.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TEMPLATE = (ROOT / "config" / "swim.toml").read_text("utf-8")

SERVER_MESSAGES = ("connected", "subscribed", "unsubscribed", "pong", "status", "publish_ack", "explained", "error")
FILTERS = (
    "airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase", "dep_window_start", "dep_window_end",
    "bbox",
)  # fmt: skip
HISTORY = ("after", "since", "last", "resumed", "gap", "last_event_id")


def commands() -> list[str]:
    """Every command with its full name."""
    found = []
    for entry in ENTRIES.values():
        inner = getattr(load_command(entry.module, entry.name), "commands", None)
        found += [entry.name] if inner is None else [f"{entry.name} {name}" for name in inner]
    return found


def stands_in(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text) is not None


@pytest.mark.parametrize("command", commands())
def test_command_stands_in_the_readme(command: str) -> None:
    assert stands_in(README, f"`swimctl {command}"), f"README.md has no `swimctl {command} …`"


@pytest.mark.parametrize("code", sorted(ExitCode))
def test_exit_code_stands_in_the_readme(code: ExitCode) -> None:
    (paragraph,) = re.findall(r"^Exit codes: .*?\n\n", README, re.MULTILINE | re.DOTALL)
    assert stands_in(paragraph, str(int(code)))


@pytest.mark.parametrize("setting", setting_names())
def test_setting_stands_in_the_annotated_configuration(setting: str) -> None:
    *section, name = setting.split(".")
    heading = rf"^(# )?\[\[?{re.escape(setting)}[\].]"  # a table, or a list of tables
    if re.search(heading, TEMPLATE, re.MULTILINE):
        return
    if section[:2] == ["expect", "connections"] and len(section) == 3:
        assert re.search(rf"^# {section[2]} = {{.*\b{name} = ", TEMPLATE, re.MULTILINE)
    else:
        assert f"[{'.'.join(section)}]" in TEMPLATE, f"config/swim.toml has no [{'.'.join(section)}]"
        assert re.search(rf"^# {name} = ", TEMPLATE, re.MULTILINE), f"config/swim.toml has no {setting}"


@pytest.mark.parametrize("type", sorted(Catalogue().types))
def test_event_type_stands_in_the_readme(type: str) -> None:
    assert stands_in(README, type)


@pytest.mark.parametrize("word", [*ACTIONS, *SERVER_MESSAGES, *FILTERS, *HISTORY])
def test_message_and_field_of_the_protocol_stands_in_the_readme(word: str) -> None:
    assert f"`{word}`" in README or f"`{word}:" in README


@pytest.mark.parametrize("code", sorted(ErrorCode))
def test_error_code_stands_in_the_readme(code: ErrorCode) -> None:
    assert f"`{code}`" in README


@pytest.mark.parametrize("code", sorted(CloseCode))
def test_close_code_stands_in_the_readme(code: CloseCode) -> None:
    assert re.search(rf"^\| {int(code)} \| ", README, re.MULTILINE)


def test_word_that_stands_nowhere_is_missed() -> None:
    assert not stands_in(README, "`swimctl abracadabra")
    assert not stands_in("flight.departed_late", "flight.departed")
    assert stands_in("`flight.departed`, x", "flight.departed")
