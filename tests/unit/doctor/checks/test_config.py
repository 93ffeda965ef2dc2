"""What doctor concludes about the configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.fake_context import FakeContext, status_document
from swim_server.config import Config, ConfigError, DatabaseConfig, LoggingConfig, Origin, Problem
from swim_server.config.files import LOCAL_NAME
from swim_server.daemon.control.documents.process import ChangedSetting

from swimctl.doctor.checks.config import (
    close_to_others,
    fix_for,
    is_private,
    is_running,
    is_same,
    is_valid,
    what_is_lost,
)
from swimctl.doctor.checks.process.environment import overrides_nothing

FILE = Origin("file", "/etc/swim/my swim.toml", 12)


@pytest.mark.parametrize(
    ("problem", "fix"),
    [
        (
            Problem("server.prot", "there is no such setting, did you mean port?", FILE),
            "sed -i '12s/prot/port/' '/etc/swim/my swim.toml'",
        ),
        (
            Problem("sources[0].pth", "there is no such setting, did you mean path?", FILE),
            "sed -i '12s/pth/path/' '/etc/swim/my swim.toml'",
        ),
        (Problem("server.port", "must be 1 or more, got 0", FILE), "${EDITOR:-vi} +12 '/etc/swim/my swim.toml'"),
        (
            Problem("a/b; rm -rf ~", "there is no such section, did you mean auth?", FILE),
            "${EDITOR:-vi} +12 '/etc/swim/my swim.toml'",
        ),
        (Problem("/x/swim.toml, line 3", "not TOML: Invalid value"), "${EDITOR:-vi} +3 /x/swim.toml"),
        (Problem("auth", "must be a table", Origin("environment", "SWIM_AUTH__X")), "unset SWIM_AUTH__X"),
        (Problem("server.port", "must be a whole number"), "swimctl config check"),
    ],
)  # fmt: skip
def test_fix_of_a_problem_is_what_can_be_pasted(problem: Problem, fix: str) -> None:
    assert fix_for(problem) == fix


async def test_everything_that_is_wrong_is_evidence(context: FakeContext) -> None:
    assert (await is_valid(context)).status == "ok"
    context.config = ConfigError([Problem("a", "is wrong", FILE), Problem("b", "too", FILE)])
    answer = await is_valid(context)
    assert answer.status == "fail"
    assert answer.observed.startswith("2 problems: in a: is wrong")
    assert len(answer.evidence) == 2


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, "ok"), (0o640, "ok"), (0o644, "fail"), (0o660, "fail"), (0o602, "fail")]
)
async def test_file_with_a_password_is_its_owners_and_its_groups_to_read(
    context: FakeContext, tmp_path: Path, mode: int, status: str
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2", "utf-8")
    secret.chmod(mode)
    context.config = Config(database=DatabaseConfig(password_file=str(secret)))
    answer = await is_private(context)
    assert answer.status == status
    changed = await close_to_others(context)
    assert bool(changed) == (status == "fail")
    assert (await is_private(context)).status == "ok"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('[database]\npassword = "x"', "fail"),
        ('[database]\nurl = "mssql+pyodbc://me:x@host/db"', "fail"),
        ('[adl.a.flights]\nodbc = "Driver=x;PWD=y"', "fail"),
        ('[database]\nurl = "mssql+pyodbc://me@host/db"', "ok"),
        ("not toml [", "ok"),
    ],
)
async def test_configuration_file_counts_when_a_secret_is_in_it(
    context: FakeContext, tmp_path: Path, text: str, status: str
) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(text, "utf-8")
    file.chmod(0o644)
    context.config_files = (file,)
    assert (await is_private(context)).status == status


async def test_setting_that_is_not_in_force_is_named_with_the_way_to_it(context: FakeContext) -> None:
    assert (await is_running(context)).status == "ok"
    change = {"running": "info", "configured": "debug"}
    context.answers["config_changes"] = {"reload": {"logging.level": change}, "restart": {}}
    answer = await is_running(context)
    assert (answer.status, answer.command) == ("fail", "swimctl reload")
    assert answer.evidence == ("logging.level: info in the process, debug configured; a reload changes it",)
    hidden = {"running": "***", "configured": "***"}
    context.answers["config_changes"]["restart"] = {"database.password": hidden}
    answer = await is_running(context)
    assert (answer.fix, [each.kind for each in answer.advice]) == (None, ["inspect", "decide"])
    assert answer.advice[1].command == "swimctl restart"
    assert "clients whose key it lacks are closed" in str(answer.advice[1].requires)
    assert answer.evidence[-1] == "database.password: changed; a restart changes it"


@pytest.mark.parametrize(
    ("name", "running", "configured", "lost"),
    [
        ("logging.level", "info", "debug", None),
        ("server.heartbeat_seconds", 30, 7, None),
        ("tiers.public.connections", 5, 7, None),
        ("tiers.public.connections", 7, 5, "clients beyond a new or lower limit"),
        ("history.keep", "24h", "10m", "removed for good"),
        ("database.url", "***", "***", "another database"),
        ("server.port", 8080, 8081, "the address changes"),
    ],
)
def test_what_a_reload_may_cost_is_known(name: str, running: object, configured: object, lost: str | None) -> None:
    found = what_is_lost(name, ChangedSetting(running=running, configured=configured))
    assert found is None if lost is None else lost in str(found)


async def test_file_that_the_process_could_not_read_again_fails(context: FakeContext) -> None:
    context.answers["config_changes"] = {"problem": "in a: is wrong", "reload": {}, "restart": {}}
    assert (await is_running(context)).status == "fail"


async def test_environment_that_the_process_has_otherwise_is_told_by_name(context: FakeContext) -> None:
    context.answers["config_changes"] = {"environment": {"SWIM_SERVER__PORT": "1", "SWIM_DATABASE__PASSWORD": None}}
    assert (await is_running(context)).status == "ok"
    answer = await overrides_nothing(context)
    assert answer.status == "fail"
    assert answer.evidence == (
        "SWIM_SERVER__PORT=1 in the environment of pid 42 sets server.port; it is another one here, or not set",
        "SWIM_DATABASE__PASSWORD in this shell sets database.password; it is not set in the process",
    )
    assert "unset SWIM_DATABASE__PASSWORD" in [each.command for each in answer.advice]
    assert any("env -u SWIM_SERVER__PORT swimctl serve" in each.command for each in answer.advice)


async def test_other_file_of_the_process_is_never_taken_from_it(context: FakeContext) -> None:
    """Started again without it, it would run with another configuration."""
    context.answers["config_changes"] = {"environment": {"SWIM_CONFIG": "/etc/swim/my swim.toml"}}
    answer = await overrides_nothing(context)
    assert answer.command == "export SWIM_CONFIG='/etc/swim/my swim.toml'"
    assert not [each for each in answer.advice if "env -u" in each.command or "stop" in each.command]
    context.answers["config_changes"] = {"environment": {"SWIM_CONFIG": "/elsewhere"}}
    assert (await overrides_nothing(context)).status == "warn"


async def test_other_files_warn_only_when_they_say_something_else(context: FakeContext) -> None:
    assert (await is_same(context)).status == "ok"
    context.answers["status"] = status_document(config_files=["/etc/swim/swim.toml"])
    context.answers["config"] = msgspec.to_builtins(Config())
    assert (await is_same(context)).status == "ok"
    context.answers["config"] = msgspec.to_builtins(Config(logging=LoggingConfig(format="json")))
    answer = await is_same(context)
    assert (answer.status, answer.command) == ("warn", "export SWIM_CONFIG=/etc/swim/swim.toml")
    assert answer.evidence == ("logging.format",)


async def test_local_file_that_is_new_is_none_of_another_configuration(context: FakeContext, tmp_path: Path) -> None:
    main = tmp_path / "swim.toml"
    local = main.with_name(LOCAL_NAME)
    context.answers["status"] = status_document(config_files=[str(main)])
    context.answers["config"] = msgspec.to_builtins(Config(logging=LoggingConfig(format="json")))
    context.config_files = (main, local)
    answer = await is_same(context)
    assert (answer.status, LOCAL_NAME in answer.observed) == ("ok", True)
    context.config_files = (tmp_path / "other" / "swim.toml", local)
    assert (await is_same(context)).status == "warn"
