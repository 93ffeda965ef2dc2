"""``swimctl config``: show, check, init, set, path."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from swim_server.config import files as config_files

from swimctl.app import run
from swimctl.commands.config import read_template

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def swimctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_files, "SYSTEM_FOLDER", tmp_path / "etc")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("SWIM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SWIM_CONFIG", raising=False)

    def run_here(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return run_here


def test_init_writes_the_annotated_file_and_never_overwrites_unasked(swimctl: Run, tmp_path: Path) -> None:
    code, out, told = swimctl("config", "init")
    assert (code, out) == (0, "config/swim.toml\n")
    assert told == f"it is used by commands that run in {tmp_path}; --user writes one that is used in every folder\n"
    assert (tmp_path / "config" / "swim.toml").read_text("utf-8") == read_template()
    (tmp_path / "config" / "swim.toml").write_text("mine", "utf-8")
    code, _, error = swimctl("config", "init")
    assert code == 2
    assert "already exists" in error and "--yes" in error
    assert (tmp_path / "config" / "swim.toml").read_text("utf-8") == "mine"
    assert swimctl("config", "init", "--yes")[0] == 0
    assert swimctl("config", "init", str(tmp_path / "config"), "--yes")[1] == f"{tmp_path}/config/swim.toml\n"


def test_check_says_valid_or_everything_that_is_wrong(swimctl: Run, tmp_path: Path) -> None:
    assert swimctl("config", "check") == (0, "valid: the built-in defaults, as there is no file\n", "")
    swimctl("config", "init")
    assert swimctl("config", "check") == (0, f"valid: {tmp_path}/config/swim.toml\n", "")
    (tmp_path / "config" / "swim.toml").write_text("[server]\nprot = 1\nport = -1\n", "utf-8")
    code, out, error = swimctl("config", "check")
    assert (code, out) == (2, "")
    assert error.splitlines() == [
        "error: in server.port: must be from 0 to 65535, got -1 (config/swim.toml, line 3)",
        "in server.prot: there is no such setting, did you mean port? (config/swim.toml, line 2)",
    ]
    code, out, error = swimctl("config", "check", "--json")
    assert (code, error) == (2, "")
    assert json.loads(out)["problems"][0] == {
        "setting": "server.port", "rule": "must be from 0 to 65535, got -1", "origin": "config/swim.toml, line 3",
    }  # fmt: skip


def test_set_writes_the_local_file_and_leaves_the_other_alone(swimctl: Run, tmp_path: Path) -> None:
    swimctl("config", "init")
    assert swimctl("config", "set", "tiers.public.connections", "10") == (
        0, "tiers.public.connections set in config/swim.local.toml\n", "",
    )  # fmt: skip
    swimctl("config", "set", "server.trusted_proxies", "10.0.0.0/8,::1")
    swimctl("config", "set", "history.keep", "48h")
    local = tmp_path / "config" / "swim.local.toml"
    assert tomllib.loads(local.read_text("utf-8")) == {
        "tiers": {"public": {"connections": 10}}, "server": {"trusted_proxies": ["10.0.0.0/8", "::1"]},
        "history": {"keep": "48h"},
    }  # fmt: skip
    main = local.with_name("swim.toml")
    assert local.stat().st_mode == main.stat().st_mode, "the service reads both"
    assert (tmp_path / "config" / "swim.toml").read_text("utf-8") == read_template()
    shown = json.loads(swimctl("config", "show", "--json")[1])
    assert shown["config"]["tiers"]["public"]["connections"] == 10
    assert shown["origins"]["tiers.public.connections"] == "config/swim.local.toml, line 2"
    assert swimctl("config", "set", "tiers.public.connections", "--unset")[0] == 0
    assert json.loads(swimctl("config", "show", "--json")[1])["config"]["tiers"]["public"]["connections"] == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tiers.publc.connections", "1"], "in tiers.publc.connections: there is no such setting, did you mean tiers."),
        (["tiers.public.connections", "-1"], "in tiers.public.connections: must be 1 or more, got -1 (config/swim.l"),
        (["tiers.public", "1"], "in tiers.public: is a table, not a single setting"),
        (["sources", "x"], "in sources: is a list of tables, not a single setting"),
        (["logging.level", "loud"], "in logging.level: must be debug, error, info or warning, got 'loud'"),
        (["logging.level"], "config set takes a KEY and a VALUE, or a KEY and --unset"),
        (["logging.level", "info", "--unset"], "config set takes a KEY and a VALUE, or a KEY and --unset"),
    ],
)  # fmt: skip
def test_set_of_what_can_not_be_changes_nothing(swimctl: Run, tmp_path: Path, words: list[str], told: str) -> None:
    swimctl("config", "init")
    code, out, error = swimctl("config", "set", *words)
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {told}")
    assert not (tmp_path / "config" / "swim.local.toml").exists()


def test_set_says_when_the_environment_overrides_it(swimctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_TIERS__PUBLIC__CONNECTIONS", "7")
    _, _, error = swimctl("config", "set", "tiers.public.connections", "10")
    assert error == "but SWIM_TIERS__PUBLIC__CONNECTIONS in the environment overrides it here\n"


def test_set_without_any_file_writes_into_the_users_folder(swimctl: Run, tmp_path: Path) -> None:
    assert swimctl("config", "set", "server.port", "9000")[0] == 0
    assert (tmp_path / "user" / "swim" / "swim.local.toml").exists()
    assert swimctl("config", "path")[1] == f"{tmp_path}/user/swim/swim.local.toml\n"


def test_path_names_the_files_in_use(swimctl: Run, tmp_path: Path) -> None:
    code, out, error = swimctl("config", "path")
    assert (code, out) == (0, "")
    assert "no file found" in error
    swimctl("config", "init")
    swimctl("config", "set", "server.port", "9000")
    assert swimctl("config", "path")[1] == f"{tmp_path}/config/swim.toml\n{tmp_path}/config/swim.local.toml\n"
    assert json.loads(swimctl("config", "path", "--json")[1])[0] == f"{tmp_path}/config/swim.toml"


def test_show_is_toml_and_says_where_each_value_comes_from(swimctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_SERVER__PORT", "9000")
    plain = swimctl("config", "show")[1]
    assert tomllib.loads(plain)["server"]["port"] == 9000
    with_origins = swimctl("config", "show", "--origin")[1]
    assert tomllib.loads(with_origins) == tomllib.loads(plain)
    (line,) = [line for line in with_origins.splitlines() if line.startswith("port = ")]
    assert line.endswith("# SWIM_SERVER__PORT")


def test_show_hides_passwords_however_they_are_given(swimctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_DATABASE__URL", "mssql+pyodbc://sa:geheim@host/db?PWD=geheim")
    monkeypatch.setenv("SWIM_DATABASE__PASSWORD", "geheim")
    for words in (["show"], ["show", "--origin"], ["show", "--json"], ["check"], ["check", "--json"]):
        code, out, error = swimctl("config", *words)
        assert code == 0
        assert "geheim" not in out + error


def test_config_option_names_the_file_before_or_after_the_command(swimctl: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[server]\nport = 1234\n", "utf-8")
    for words in (["--config", str(file), "config", "show"], ["config", "show", f"--config={file}"]):
        assert tomllib.loads(swimctl(*words)[1])["server"]["port"] == 1234
    assert swimctl("config", "show", "--config", "nowhere.toml") == (
        2, "", "error: in nowhere.toml: there is no such file; create one with swimctl config init\n",
    )  # fmt: skip


def test_init_for_the_user_is_found_from_every_folder(
    swimctl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    assert swimctl("config", "init", "--user") == (0, f"{tmp_path}/own/swim/swim.toml\n", "")
    monkeypatch.chdir("/")
    assert swimctl("config", "path")[1] == f"{tmp_path}/own/swim/swim.toml\n"
    assert swimctl("config", "init", "--user", "x.toml")[0] == 2


def test_init_elsewhere_says_how_the_file_is_named(swimctl: Run, tmp_path: Path) -> None:
    assert (
        swimctl("config", "init", "new.toml")[2]
        == "commands use it only when named: swimctl --config new.toml status\n"
    )


def test_init_and_set_as_json(swimctl: Run, tmp_path: Path) -> None:
    assert json.loads(swimctl("config", "init", "--json")[1]) == {"file": f"{tmp_path}/config/swim.toml"}
    told = json.loads(swimctl("config", "set", "tiers.public.connections", "9", "--json")[1])
    assert told == {
        "setting": "tiers.public.connections", "is_set": True, "file": "config/swim.local.toml", "is_overridden": False,
    }  # fmt: skip
