"""Loading: where files are looked for, what takes precedence, what is reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from swim_server.config import Config, ConfigError, LoadedConfig, SimulatorSourceConfig, load
from swim_server.config import files as config_files

SIMULATOR = "[[sources]]\nkind = 'simulator'\n"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without the machine's own configuration."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(config_files, "SYSTEM_FOLDER", tmp_path / "etc")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "user")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def load_from(
    tmp_path: Path, environ: Mapping[str, str], path: Path | None = None, **overrides: object
) -> LoadedConfig:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return load(path, environ=environ, overrides=named, home=tmp_path / "home")


def problems_of(tmp_path: Path, environ: Mapping[str, str], text: str, **overrides: Any) -> str:
    write(Path("config/swim.toml"), text)
    with pytest.raises(ConfigError) as caught:
        load_from(tmp_path, environ, **overrides)
    return str(caught.value)


def test_load_without_files_gives_the_defaults(tmp_path: Path, environ: dict[str, str]) -> None:
    loaded = load_from(tmp_path, environ)
    expected = Config()
    expected.database.url = f"sqlite:///{tmp_path}/home/swim.db"
    assert loaded.config == expected
    assert loaded.files == ()
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_load_looks_into_the_folders_in_order(tmp_path: Path, environ: dict[str, str]) -> None:
    found = []
    for folder, port in ((tmp_path / "etc", 1), (tmp_path / "user" / "swim", 2), (Path("config"), 3)):
        write(folder / "swim.toml", f"[server]\nport = {port}\n")
        found.append(load_from(tmp_path, environ).config.server.port)
    named = write(tmp_path / "named.toml", "[server]\nport = 4\n")
    found.append(load_from(tmp_path, {**environ, "SWIM_CONFIG": str(named)}).config.server.port)
    option = write(tmp_path / "option.toml", "[server]\nport = 5\n")
    found.append(load_from(tmp_path, {**environ, "SWIM_CONFIG": str(named)}, option).config.server.port)
    assert found == [1, 2, 3, 4, 5]


def test_load_takes_the_nearer_place_for_each_setting(tmp_path: Path, environ: dict[str, str]) -> None:
    write(Path("config/swim.toml"), '[server]\nhost = "a"\nport = 1\nheartbeat_seconds = 1\nmax_message_bytes = 1\n')
    write(Path("config/swim.local.toml"), "[server]\nport = 2\nheartbeat_seconds = 2\nmax_message_bytes = 2\n")
    environ |= {"SWIM_SERVER__HEARTBEAT_SECONDS": "3", "SWIM_SERVER__MAX_MESSAGE_BYTES": "3"}
    loaded = load_from(tmp_path, environ, server__max_message_bytes=4)
    server = loaded.config.server
    assert (server.host, server.port, server.heartbeat_seconds, server.max_message_bytes) == ("a", 2, 3, 4)
    names = ("host", "port", "heartbeat_seconds", "max_message_bytes", "close_timeout_seconds")
    assert [str(loaded.origins[f"server.{name}"]) for name in names] == [
        "config/swim.toml, line 2", "config/swim.local.toml, line 2", "SWIM_SERVER__HEARTBEAT_SECONDS",
        "--max_message_bytes", "default",
    ]  # fmt: skip
    assert loaded.files == (Path("config/swim.toml").absolute(), Path("config/swim.local.toml").absolute())


def test_load_layers_the_local_file_also_when_it_stands_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    write(tmp_path / "user" / "swim" / "swim.local.toml", "[server]\nport = 7\n")
    assert load_from(tmp_path, environ).config.server.port == 7


def test_load_of_the_local_file_by_name_reads_it_once(tmp_path: Path, environ: dict[str, str]) -> None:
    local = write(tmp_path / "swim.local.toml", "[server]\nport = 7\n")
    assert load_from(tmp_path, environ, local).files == (local,)


def test_local_file_replaces_an_array_of_tables_whole(tmp_path: Path, environ: dict[str, str]) -> None:
    write(
        Path("config/swim.toml"),
        '[[sources]]\nkind = "simulator"\nseed = 1\n[[sources]]\nkind = "simulator"\nseed = 2\n',
    )
    write(Path("config/swim.local.toml"), '[[sources]]\nkind = "simulator"\nseed = 3\n')
    loaded = load_from(tmp_path, environ)
    assert loaded.config.sources == [SimulatorSourceConfig(name="simulator", seed=3)]
    assert str(loaded.origins["sources[0].seed"]) == "config/swim.local.toml, line 3"
    assert "sources[1].seed" not in loaded.origins


def test_option_for_sources_replaces_those_of_the_file(tmp_path: Path, environ: dict[str, str]) -> None:
    write(Path("config/swim.toml"), '[[sources]]\nkind = "simulator"\nseed = 1\n')
    loaded = load_from(tmp_path, environ, sources=[SimulatorSourceConfig(seed=9)])
    assert [source.seed for source in loaded.config.sources if isinstance(source, SimulatorSourceConfig)] == [9]
    assert str(loaded.origins["sources[0].seed"]) == "--source"


def test_option_that_was_not_given_changes_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    assert load_from(tmp_path, environ, server__port=None, sources=None).config.server.port == 8090


def test_tier_changed_in_one_setting_keeps_its_others(tmp_path: Path, environ: dict[str, str]) -> None:
    write(Path("config/swim.toml"), "[tiers.partner]\nmessages_per_second = 99\n")
    partner = load_from(tmp_path, environ).config.tiers.partner
    assert (partner.connections, partner.messages_per_second) == (500, 99)


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("SWIM_TIERS__PUBLIC__CONNECTIONS", "7", "tiers.public.connections", 7),
        ("SWIM_SERVER__HEARTBEAT_SECONDS", "0.5", "server.heartbeat_seconds", 0.5),
        ("SWIM_SERVER__PUBLIC_URL", "wss://x/y", "server.public_url", "wss://x/y"),
        ("SWIM_SERVER__PUBLIC_URL", "", "server.public_url", None),
        ("SWIM_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1", "server.trusted_proxies", ["10.0.0.0/8", "::1"]),
        ("SWIM_SERVER__TRUSTED_PROXIES", '["10.0.0.1"]', "server.trusted_proxies", ["10.0.0.1"]),
        ("SWIM_SERVER__TRUSTED_PROXIES", "", "server.trusted_proxies", []),
        ("SWIM_LOGGING__LEVEL", "debug", "logging.level", "debug"),
        ("SWIM_HISTORY__KEEP", "90", "history.keep", "90"),
        ("SWIM_DATABASE__PASSWORD", "12345", "database.password", "12345"),
        ("SWIM_EXPECT__CONNECTIONS__PARTNER__MIN", "1", "expect.connections.partner.min", 1),
        ("SWIM_CHANNELS__FAMILIES__WEATHER", "sigmet,metar", "channels.families", {"weather": ["sigmet", "metar"]}),
    ],
)
def test_environment_overrides_with_the_type_of_the_setting(
    tmp_path: Path, environ: dict[str, str], variable: str, text: str, setting: str, value: object
) -> None:
    found: object = load_from(tmp_path, environ | {variable: text}).config
    for part in setting.split("."):
        found = getattr(found, part)
    assert found == value


def test_environment_that_names_no_setting_is_told_with_the_nearest(tmp_path: Path, environ: dict[str, str]) -> None:
    told = problems_of(tmp_path, environ | {"SWIM_SERVR__PORT": "1", "SWIM_X__Y": "1"}, "")
    assert told.splitlines() == [
        "in SWIM_SERVR__PORT: there is no setting servr.port, did you mean SWIM_SERVER__PORT?",
        "in SWIM_X__Y: there is no setting x.y; all of them: swimctl config show",
    ]


def test_environment_without_two_underscores_is_none_of_ours(tmp_path: Path, environ: dict[str, str]) -> None:
    load_from(tmp_path, environ | {"SWIM_API_KEY": "x", "SWIM_URL": "y", "_SWIM_READY_FD": "3"})


@pytest.mark.parametrize(
    ("text", "setting", "line", "rule"),
    [
        ("[tiers.developer]\nconnections = -5", "tiers.developer.connections", 2,
         "must be 1 or more, got -5"),
        ("[tiers.develper]\nconnections = 5", "tiers.develper", 1,
         "there is no such tier, did you mean developer? There are public, developer, partner and system"),
        ("[tiers.gold]\nconnections = 5", "tiers.gold", 1,
         "there is no such tier; there are public, developer, partner and system"),
        ("[server]\nprot = 1", "server.prot", 2,
         "there is no such setting, did you mean port?"),
        ("[serve]\nport = 1", "serve", 1,
         "there is no such section, did you mean server?"),
        ("[server]\nport = 70000", "server.port", 2,
         "must be from 0 to 65535, got 70000"),
        ("[server]\nport = '1'", "server.port", 2,
         "must be a whole number, got '1'"),
        ("[server]\nport = true", "server.port", 2,
         "must be a whole number, got true"),
        ("[server]\nport = 1.5", "server.port", 2,
         "must be a whole number, got 1.5"),
        ("[server]\nhost = 1", "server.host", 2,
         "must be a text in quotes, got 1"),
        ("[server]\nhost = ''", "server.host", 2,
         "must not be empty"),
        ("[server]\nheartbeat_seconds = nan", "server.heartbeat_seconds", 2,
         "must be a finite number, got nan"),
        ("[server]\nheartbeat_seconds = 0", "server.heartbeat_seconds", 2,
         "must be more than 0, got 0"),
        ("[server]\nmax_message_bytes = 99999999999999999999", "server.max_message_bytes", 2,
         "must be 9223372036854775807 or less, got 99999999999999999999"),
        ("[server]\ntrusted_proxies = '10.0.0.1'", "server.trusted_proxies", 2,
         "must be a list, got '10.0.0.1'"),
        ("[server]\ntrusted_proxies = [\n'10.0.0.1',\n'10.0.0.x']", "server.trusted_proxies[1]", 4,
         "must be an address or a network like 10.0.0.0/8, got '10.0.0.x'"),
        ("[server]\nallowed_origins = ['map.example.org']", "server.allowed_origins[0]", 2,
         "must be an origin like https://map.example.org, got 'map.example.org'"),
        ("[server]\npublic_url = 'https://x'", "server.public_url", 2,
         "must be a ws:// or wss:// address like wss://swim.example.org/api/swim/v1/ws, got 'https://x'"),
        ("server = 3", "server", 1,
         "must be a table, got 3"),
        ("[history]\nkeep = '5 parsecs'", "history.keep", 2,
         "must be a duration like 30s, 15m, 24h or 7d, got '5 parsecs'"),
        ("[logging]\nlevel = 'warn'", "logging.level", 2,
         "must be debug, error, info or warning, got 'warn'; did you mean warning?"),
        ("[broker]\nurl = 'amqp://x'", "broker.url", 2,
         "must be local, or a server like redis://10.0.0.5:6379/0, unix:///run/redis.sock or "
         "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster, got 'amqp://x'"),
        ("[broker]\nurl = 'redis://'", "broker.url", 2,
         "must be local, or a server like redis://10.0.0.5:6379/0, unix:///run/redis.sock or "
         "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster, got 'redis://'"),
        ("[broker]\nurl = 'redis://127.0.0.1:6379/x'", "broker.url", 2,
         "must end with the number of a database, like redis://10.0.0.5:6379/0, got 'redis://127.0.0.1:6379/x'"),
        ("sources = 3", "sources", 1,
         "must be a list, got 3"),
        ("sources = [3]", "sources[0]", 1,
         "must be a table, got 3"),
        ("[[sources]]\npath = 'x'", "sources[0]", 1,
         "needs kind: file, drop, recording, simulator, vatsim, ecfmp, adl"),
        ("[[sources]]\nkind = 'recordin'", "sources[0].kind", 2,
         "must be file, drop, recording, simulator, vatsim, ecfmp or adl, got 'recordin'; did you mean recording?"),
        ("[[sources]]\nkind = 'file'", "sources[0]", 1,
         "a source of kind file needs path"),
        ("[[sources]]\nkind = 'simulator'\nspede = 1", "sources[0].spede", 3,
         "there is no such setting, did you mean speed?"),
        (f"{SIMULATOR}name = 'a'\n{SIMULATOR}name = 'a'", "sources[1].name", 6,
         "must differ from the other sources' names, got 'a' again"),
        ("[channels.families]\nweather = ['a b']", "channels.families.weather", 2,
         "\"a b\" is not a type name: like updated, slots.optimized or program.*"),
        ("[channels.families]\nweather = 'sigmet'", "channels.families.weather", 2,
         "must be a list, got 'sigmet'"),
        ("[database]\nurl = 'sqlite:////x'\nodbc = 'Driver=x'", "database.odbc", 3,
         "either url or odbc may be set, not both"),
        ("[database]\nurl = 'postgres://u:secret@h/db'", "database.url", 2,
         "must be a database URL like sqlite:////var/lib/swim/swim.db or mssql+pyodbc://…, got one "
            "that begins with postgres://"),
    ],
)  # fmt: skip
def test_wrong_setting_is_told_with_key_file_line_and_rule(
    tmp_path: Path, environ: dict[str, str], text: str, setting: str, line: int, rule: str
) -> None:
    assert problems_of(tmp_path, environ, text) == f"in {setting}: {rule} (config/swim.toml, line {line})"


def test_wrong_settings_are_all_told_wherever_they_come_from(tmp_path: Path, environ: dict[str, str]) -> None:
    write(Path("config/swim.local.toml"), "[server]\nport = -1\n")
    environ |= {"SWIM_TIERS__PUBLIC__CONNECTIONS": "0", "SWIM_LOGGING__FORMAT": "xml"}
    told = problems_of(tmp_path, environ, "[server]\nhots = 'x'\n", server__heartbeat_seconds=-1)
    assert told.splitlines() == [
        "in server.port: must be from 0 to 65535, got -1 (config/swim.local.toml, line 2)",
        "in server.heartbeat_seconds: must be more than 0, got -1 (--heartbeat_seconds)",
        "in server.hots: there is no such setting, did you mean host? (config/swim.toml, line 2)",
        "in tiers.public.connections: must be 1 or more, got 0 (SWIM_TIERS__PUBLIC__CONNECTIONS)",
        "in logging.format: must be json or text, got 'xml' (SWIM_LOGGING__FORMAT)",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[server\nport = 1", "in {path}, line 1: not TOML: Expected ']' at the end of a table declaration"),
        (b"[server]\n\nport = = 1\n", "in {path}, line 3: not TOML: Invalid value"),
        (b"[server]\nport = 1\nport = 2\n", "in {path}, line 3: not TOML: Cannot overwrite a value"),
        (b"[server]\nport =", "in {path}, line 2: not TOML: Invalid value"),
        (b"[server]\nhost = '\xff'\n", "in {path}, line 2: not UTF-8 text: byte 0xff"),
    ],
)
def test_file_that_is_no_toml_is_told_with_its_line(
    tmp_path: Path, environ: dict[str, str], content: bytes, told: str
) -> None:
    path = tmp_path / "swim.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_from(tmp_path, environ, path)
    assert str(caught.value) == told.format(path=path)


def test_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "swim.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 7\r\n")
    assert load_from(tmp_path, environ, path).config.server.port == 7


def test_file_that_does_not_exist_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="there is no such file; create one with swimctl config init"):
        load_from(tmp_path, environ, tmp_path / "nowhere.toml")


def test_file_that_is_a_directory_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_from(tmp_path, environ, tmp_path)


def test_relative_path_counts_from_its_file_or_from_the_working_directory(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = write(
        tmp_path / "a" / "swim.toml",
        '[logging]\nfile = "log/x"\n[database]\nurl = "sqlite:///keys.db"\n'
        '[[sources]]\nkind = "file"\npath = "~/e.json"\n',
    )
    config = load_from(tmp_path, environ, path).config
    assert config.logging.file == f"{tmp_path}/a/log/x"
    assert config.database.url == f"sqlite:///{tmp_path}/a/keys.db"
    assert getattr(config.sources[0], "path", None) == str(Path("~/e.json").expanduser())
    changed = load_from(tmp_path, environ | {"SWIM_LOGGING__FILE": "y"}, path).config
    assert changed.logging.file == f"{tmp_path}/work/y"


@pytest.mark.parametrize(
    "url", ["sqlite:////abs/keys.db", "sqlite:///:memory:", "sqlite://", "mssql+pyodbc://h/db?driver=x"]
)
def test_database_url_that_is_not_relative_stays(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    assert load_from(tmp_path, environ | {"SWIM_DATABASE__URL": url}).config.database.url == url


def test_sources_without_names_get_different_ones(tmp_path: Path, environ: dict[str, str]) -> None:
    write(Path("config/swim.toml"), f'{SIMULATOR}{SIMULATOR}name = "simulator-2"\n{SIMULATOR}')
    assert [source.name for source in load_from(tmp_path, environ).config.sources] == [
        "simulator", "simulator-2", "simulator-3",
    ]  # fmt: skip


ADL = '[adl.main.flights]\nurl = "sqlite:///adl.db"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[sources]]\nkind = "adl"\ndatabase = "main"', "there is no [adl.main]: [adl.main.flights] says where"),
        (ADL + '[[sources]]\nkind = "adl"\ndatabase = "mian"', "there is no [adl.mian], did you mean main?"),
        ('[adl.main.tmi_programs]\ntable = "x"\n[[sources]]\nkind = "adl"\ndatabase = "main"', "has a url or odbc"),
        ('[adl.main.flights]\nurl = "mysql://x/y"', "must be a database URL like mssql+pyodbc://"),
        ('[adl.main.adl_flight_core]\ntabel = "x"', "there is no such setting, did you mean table?"),
        ('[adl.main.adl_flight_core]\ncallsign = ""', "must be the name of a table or column"),
        (
            '[[sources]]\nkind = "vatsim"\ninterval_seconds = 5',
            "must be 15 or more for a server on another machine, got 5",
        ),
        ('[[sources]]\nkind = "ecfmp"\ninterval_seconds = 30', "must be 60 or more for a server on another machine"),
        ("[publish.keys.bot]\nchannels = []", "must be the id of a key, a number"),
        ('[publish.keys.17]\nchannels = ["splitz.*"]', "splitz.*"),
    ],
)
def test_what_sources_and_publishing_need_of_each_other_is_checked(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, environ={}, home=tmp_path)
    assert told in str(caught.value)


def test_tables_of_an_adl_source_come_from_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(ADL + '[[sources]]\nkind = "adl"\ndatabase = "main"\n', "utf-8")
    loaded = load(file, environ={"SWIM_ADL__MAIN__FLIGHTS__PASSWORD": "secret"}, home=tmp_path)
    flights = loaded.config.adl["main"].flights
    assert (flights.url, flights.password) == (f"sqlite:///{tmp_path / 'adl.db'}", "secret")
    assert loaded.config.adl["main"].tmis.url is None


def test_a_feed_on_this_machine_may_be_asked_as_often_as_one_likes(tmp_path: Path) -> None:
    file = tmp_path / "swim.toml"
    for url in ("http://127.0.0.1:8000/", "http://localhost/", "http://[::1]:80/x"):
        file.write_text(f'[[sources]]\nkind = "vatsim"\nurl = "{url}"\ninterval_seconds = 0.1', "utf-8")
        load(file, environ={}, home=tmp_path)
