"""The documents match the code: each command, setting, message, code and check is in its page, and no others."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from msgspec import inspect as types
from support.documents import ROOT, Document, code_in, document, documents
from swim_client import SWIMClient
from swim_server.config import Config, SourceConfig, TiersConfig
from swim_server.config.check import choices
from swim_server.config.parse_value import setting_names
from swim_server.config.settings import RELOADABLE
from swim_server.daemon.home import Home
from swim_server.keys.format import PREFIXES, Tier
from swim_server.protocol.actions import ACTIONS
from swim_server.protocol.channels import FAMILIES, Catalogue
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.protocol.payloads import PAYLOADS
from swim_server.streaming.explain.outcome import Outcome

from swimctl.app import load_command
from swimctl.command_table import ENTRIES, GLOBAL_OPTIONS
from swimctl.doctor.catalogue import all_checks
from swimctl.errors import ExitCode

README = document("README.md")
PROTOCOL = document("server/PROTOCOL.md")
OPERATING = document("server/OPERATING.md")
DOCTOR = document("swimctl/doctor/README.md")
FIGURES = document("tests/load/README.md")
SDK = document("sdk/python/README.md")
TEMPLATE = (ROOT / "config" / "swim.toml").read_text("utf-8")

SERVER_MESSAGES = (*("connected", "subscribed", "unsubscribed", "pong", "status", "publish_ack", "explained", "error"),)
FILTERS = (
    "airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase", "dep_window_start", "dep_window_end",
    "bbox",
)  # fmt: skip
HISTORY = ("after", "since", "last", "resumed", "gap", "last_event_id")
HISTORY_FILES = {"history.db", "history.mark", "history.witness"}
STATE_WORDS = {"state.checkpoint", "state.entered", "state.left"}
"""A file and messages, named like settings."""
OF_THE_LIBRARY = {1007, 1009}
"""Close codes that the WebSocket library sends by itself."""


def commands() -> dict[str, Any]:
    """Every command by its full name."""
    found: dict[str, Any] = {}
    for entry in ENTRIES.values():
        command = load_command(entry.module, entry.name)
        inner = getattr(command, "commands", None)
        found |= {entry.name: command} if inner is None else {f"{entry.name} {name}": inner[name] for name in inner}
    return found


def stands_in(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text) is not None


# The command line.

COMMANDS = commands()
GLOBAL = {word for option, _ in GLOBAL_OPTIONS for word in re.findall(r"-[-\w]+", option)} | {"--help", "--version"}
TYPED = [
    pytest.param(page, words, id=f"{page.name}: {' '.join(words)[:60]}")
    for page in documents()
    for words in page.commands()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_stands_in_the_readme(command: str) -> None:
    assert stands_in(README.text, f"`swimctl {command}"), f"README.md has no `swimctl {command} …`"


@pytest.mark.parametrize(("page", "words"), TYPED)
def test_command_that_a_page_names_exists_with_its_options(page: Document, words: list[str]) -> None:
    problem = problem_with(words)
    assert problem is None, f"{page.name}: swimctl {' '.join(words)}: {problem}"


def problem_with(words: list[str]) -> str | None:
    """What is wrong with a command line; None: there is such a command, with these options."""
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] == "--config" else words[1:]
    names = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word)]
    if not words or words[0] in {"…", "NAME"}:
        return None
    group = {name for name in COMMANDS if name.partition(" ")[0] == words[0]}
    if not group:
        return f"there is no command {words[0]}"
    name = next((each for each in (" ".join(names), words[0]) if each in COMMANDS), None)
    if name is None:
        return None if len(words) == 1 else f"{words[0]} has no command {words[1]}"
    known = {option for each in COMMANDS[name].params for option in (*each.opts, *each.secondary_opts)} | GLOBAL
    named = [found[1] for word in words if (found := re.match(r"[\[(|]*(--?[a-z][a-z-]*)", word))]
    unknown = [option for option in named if option not in known]
    return f"{name} has no option {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["abracadabra"], "no command abracadabra"),
        (["keys", "abracadabra"], "keys has no command abracadabra"),
        (["status", "--abracadabra"], "no option --abracadabra"),
        (["serve", "[--detach]", "[--abracadabra", "X]"], "no option --abracadabra"),
    ],
)
def test_command_that_does_not_exist_is_found(words: list[str], problem: str) -> None:
    assert problem in (problem_with(words) or "")


@pytest.mark.parametrize("code", sorted(ExitCode))
def test_exit_code_stands_in_the_readme(code: ExitCode) -> None:
    (paragraph,) = re.findall(r"^Exit codes: .*?\n\n", README.text, re.MULTILINE | re.DOTALL)
    assert stands_in(paragraph, str(int(code)))


# Settings, files, sources.


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


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_setting_that_a_page_names_exists(page: Document) -> None:
    named = {".".join(found) for found in re.findall(r"`\[([a-z]+)\] ([a-z_]+)", page.text)}
    sections = "|".join({setting.partition(".")[0] for setting in setting_names()})
    named |= set(re.findall(rf"`((?:{sections})\.[a-z_]+(?:\.[a-z_]+)*)[ `]", page.text)) - check_ids()
    named -= HISTORY_FILES | STATE_WORDS
    named |= {words[2] for words in page.commands() if words[:2] == ["config", "set"] and len(words) > 2} - {"KEY"}
    variables = re.findall(r"SWIM_([A-Z]+(?:__[A-Z]+(?:_[A-Z]+)*)+)", page.text)
    named |= {variable.lower().replace("__", ".") for variable in variables}
    known = set(setting_names()) | {setting.rpartition(".")[0] for setting in setting_names()}
    assert named - known == set()


def check_ids() -> set[str]:
    return {check.id for check in all_checks()}


def test_settings_that_a_reload_applies_stand_in_the_annotated_configuration() -> None:
    (sentence,) = re.findall(r"swimctl reload applies changes of (.*?) to a running daemon", TEMPLATE, re.DOTALL)
    told = set(re.findall(r"[a-z_.]+", re.sub(r"\(.*?\)|#| and ", " ", sentence)))
    assert told == {name if name.startswith("auth") else name.partition(".")[0] for name in RELOADABLE}


def test_sections_that_a_reload_applies_stand_in_operating() -> None:
    (sentence,) = re.findall(r"`swimctl reload` applies changes of (.*?)\.\s", OPERATING.text, re.DOTALL)
    named = {code.replace("logging.file", "") for code in code_in(sentence.replace("\n", " "))}
    applied = {name if name.startswith("auth") else name.partition(".")[0] for name in RELOADABLE}
    assert named - {"file"} == applied


def test_files_of_the_home_stand_in_operating() -> None:
    home = Home(ROOT)
    files = (home.database, home.history, home.lockfile, home.log, home.starts, home.sources)
    told = {code.rstrip("/") for row in OPERATING.rows("Files in the home") for code in code_in(row[0])}
    assert {path.name for path in files} | {
        home.control_socket.name,
        "history.mark",
        "history.witness",
        "installation",
    } <= told


def test_every_kind_of_source_stands_in_operating() -> None:
    union = types.type_info(SourceConfig)
    assert isinstance(union, types.UnionType)
    told = {re.split(r"[:?\[]", code_in(row[0])[0])[0] for row in OPERATING.rows("Sources")}
    assert told == choices(union).keys()


# The wire.


def test_event_types_of_the_protocol_are_those_of_the_catalogue() -> None:
    rows = PROTOCOL.rows("Channels")
    assert {code for row in rows for code in code_in(row[1])} == Catalogue().types
    assert {code for row in rows for code in code_in(row[0])} == {f"{family}.*" for family in FAMILIES}


def test_fields_of_every_event_stand_in_the_protocol() -> None:
    section = PROTOCOL.section("Event data")
    fields = {field for payload in PAYLOADS.values() for field in payload.__struct_fields__}
    assert {field for field in fields if f"`{field}`" not in section} == set()


@pytest.mark.parametrize("word", [*ACTIONS, *SERVER_MESSAGES, *FILTERS, *HISTORY])
def test_message_and_field_of_the_protocol_stands_in_its_page(word: str) -> None:
    assert f"`{word}`" in PROTOCOL.text


def test_actions_and_filters_of_the_protocol_are_those_that_exist() -> None:
    assert {code_in(row[0])[0] for row in PROTOCOL.rows("What a client sends")} == set(ACTIONS)
    assert {code for row in PROTOCOL.rows("Filters") for code in code_in(row[0])} == set(FILTERS)


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.name)
def test_every_row_of_a_table_belongs_to_it(page: Document) -> None:
    """Behind an empty line a row is no row, but a paragraph with bars in it."""
    blocks = re.findall(r"(?m)(?:^\|.*\n)+", page.prose)
    torn = [block.splitlines()[0] for block in blocks if not re.match(r".*\n\|(?: *:?-+:? *\|)+\n", block)]
    assert torn == []


def test_codes_of_the_protocol_are_those_that_exist() -> None:
    first = [row[0] for row in PROTOCOL.rows("Codes")]
    assert {code for cell in first for code in code_in(cell)} == set(ErrorCode)
    assert {int(cell) for cell in first if cell.isdecimal()} == {int(code) for code in CloseCode} | OF_THE_LIBRARY


def test_outcomes_of_an_explanation_stand_in_the_protocol() -> None:
    assert {f"`{outcome}`" for outcome in Outcome if f"`{outcome}`" not in PROTOCOL.text} == set()


def test_tiers_of_the_protocol_have_the_defaults() -> None:
    told = {code_in(row[0])[0]: row[1:3] for row in PROTOCOL.rows("Connecting") if code_in(row[0])}
    tiers = TiersConfig()
    assert told == {tier.value: [f"`{PREFIXES[tier]}`", f"{getattr(tiers, tier.value).connections:,}"] for tier in Tier}


# Doctor, figures, SDK.


def test_checks_in_doctors_page_are_those_of_the_catalogue() -> None:
    told = [(code_in(row[0])[0], tuple(code_in(row[2])), row[3]) for row in DOCTOR.rows("All checks")]
    assert told == [(check.id, check.needs, marks(check)) for check in all_checks()]


def marks(check: Any) -> str:
    named = (("fix", check.repair is not None), ("deep", check.is_deep), ("outside", check.is_outside))
    return ", ".join(name for name, holds in named if holds)


def test_options_in_doctors_page_are_those_of_the_command() -> None:
    told = {option for row in DOCTOR.rows("Options") for option in re.findall(r"--[a-z-]+", row[0])}
    taken = {option for each in COMMANDS["doctor"].params for option in each.opts if option.startswith("--")}
    assert told == taken - {"--yes", "--json", "--help"}


def test_every_load_test_stands_in_its_page_and_no_other() -> None:
    folder = ROOT / "tests" / "load"
    named = set(re.findall(r"(?<!tests/e2e/)\b([a-z_]+\.(?:py|mjs|c))(?=[`\s])", FIGURES.text))
    assert named == {path.name for path in folder.iterdir() if path.suffix in {".py", ".mjs", ".c"}}
    support = (ROOT / "tests" / "support" / "load_rig.py").read_text("utf-8")
    for script, words in re.findall(r"`python tests/load/([a-z_]+\.py)([^`]*)`", FIGURES.text):
        source = (folder / script).read_text("utf-8") + support
        assert [word for word in words.split() if word.startswith("--") and f'"{word}"' not in source] == []


def test_settings_of_the_sdk_have_the_defaults_that_its_page_says() -> None:
    (call,) = re.findall(r"^SWIMClient\(\n.*?^\)", SDK.text, re.MULTILINE | re.DOTALL)
    told = dict(re.findall(r"^    (\w+)=([^,]+),", call, re.MULTILINE))
    signature = inspect.signature(SWIMClient.__init__).parameters
    assert told == {name: repr(signature[name].default) for name in told}
    further = SDK.section("The client").partition("Further keyword arguments:")[2].partition("\n\n")[0]
    known = told.keys() | {code for code in code_in(further.replace("\n", " ")) if code.isidentifier()}
    assert signature.keys() - {"self"} <= known


def test_methods_in_the_sdks_page_exist() -> None:
    rows = [row for row in SDK.rows("The client") if len(row) == 2]
    named = {name for row in rows for code in code_in(row[0]) for name in re.findall(r"^(\w+)", code)} - {"async"}
    assert {name for name in named if not hasattr(SWIMClient, name)} - {"urls", "flights"} == set()


def test_word_that_stands_nowhere_is_missed() -> None:
    assert not stands_in(README.text, "`swimctl abracadabra")
    assert not stands_in("flight.departed_late", "flight.departed")
    assert stands_in("`flight.departed`, x", "flight.departed")


def test_table_of_budgets_has_every_limit_of_the_server_with_its_default() -> None:
    server = Config().server
    told: dict[str, str] = {}
    for setting, default, _ in OPERATING.rows("Budgets"):
        told |= dict(zip(code_in(setting), re.split(r", (?=\d)", default), strict=True))
    assert told == {name: f"{getattr(server, name):,.0f}" for name in told}
    limits = {name for name in server.__struct_fields__ if name.startswith("max_")} - {"max_connection_hours"}
    assert limits | {"abuse_factor", "descriptor_reserve"} <= told.keys()
