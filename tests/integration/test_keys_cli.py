"""``swimctl keys`` and ``swimctl db`` as cli.md promises them, without a daemon: output, exit codes, files."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from swim_server.keys.format import KeyShape, classify, digest

from swimctl.app import run


class Outcome(NamedTuple):
    """What one command line did."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWIM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def swimctl(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    def command(*words: str, given: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode()), encoding="utf-8"))
        code = run(list(words))
        captured = capsys.readouterr()
        return Outcome(int(code), captured.out, captured.err)

    return command


@pytest.fixture
def key(swimctl: Command) -> str:
    """Key 1, of the developer tier, Ada's."""
    return swimctl("keys", "create", "--tier", "developer", "--owner", "Ada").out.strip()


def test_create_as_json_has_exactly_the_promised_fields(swimctl: Command) -> None:
    document = swimctl("keys", "create", "--tier", "system", "--owner", "me", "--expires", "90d", "--json").document()
    assert list(document) == ["id", "api_key", "tier", "owner_name", "expires_at", "created_at"]
    assert classify(document["api_key"]) is KeyShape.OWN
    assert (document["id"], document["tier"], document["owner_name"]) == (1, "system", "me")
    assert document["expires_at"].endswith("Z")


def test_create_writes_the_key_alone_on_standard_output(swimctl: Command) -> None:
    outcome = swimctl("keys", "create", "--tier", "public", "--owner", "me")
    assert classify(outcome.out.removesuffix("\n")) is KeyShape.OWN
    assert outcome.out.strip() not in outcome.err
    assert "shown only once" in outcome.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--tier", "gold", "--owner", "x"], "the four that exist: public, developer, partner, system"),
        (["--tier", "public", "--owner", " "], "owner: must name the key's owner"),
        (["--tier", "public", "--owner", "x", "--expires", "soon"], "--expires: must be a duration like 90d"),
        (["--tier", "public", "--owner", "x", "--expires", "2020-01-31"], "must be in the future"),
        (
            ["--tier", "public", "--owner", "x", "--allow-ip", "10.0.0.0/99"],
            "allow-ip: must be an address or a network",
        ),
        (["--owner", "x"], "--tier"),
    ],
)
def test_create_with_wrong_words_is_exit_2_and_makes_nothing(swimctl: Command, words: list[str], expected: str) -> None:
    outcome = swimctl("keys", "create", *words)
    assert outcome.code == 2
    assert expected in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert swimctl("keys", "list", "--json").document() == []


def test_list_shows_every_key_by_its_hint_and_never_itself(swimctl: Command, key: str) -> None:
    outcome = swimctl("keys", "list")
    assert outcome.out.split("\t")[:5] == ["1", f"swim_dev_…{key[-4:]}", "developer", "Ada", "active"]
    assert key not in outcome.out
    (row,) = swimctl("keys", "list", "--json").document()
    assert {"id", "hint", "tier", "owner_name", "state", "created_at", "expires_at", "last_used_at"} <= set(row)
    assert row["live_connections"] is None
    assert "api_key" not in row


def test_list_filters_and_knows_its_states(swimctl: Command, key: str) -> None:
    swimctl("keys", "create", "--tier", "public", "--owner", "Bob", "--expires", "5d")
    ids = {
        words: [row["id"] for row in swimctl("keys", "list", *words.split(), "--json").document()]
        for words in ("--tier public", "--state expiring", "--state active", "--owner ad", "--state revoked")
    }
    assert ids == {
        "--tier public": [2],
        "--state expiring": [2],
        "--state active": [1, 2],
        "--owner ad": [1],
        "--state revoked": [],
    }
    assert swimctl("keys", "list", "--state", "dead").code == 2


def test_life_of_a_key_by_its_states(swimctl: Command, key: str) -> None:
    def state() -> str:
        return str(swimctl("keys", "show", "1", "--json").document()["state"])

    assert state() == "active"
    assert swimctl("keys", "expire", "1", "--at", "5d").code == 0
    assert state() == "expiring"
    assert "key 1 is expired; the daemon is not running" in swimctl("keys", "expire", "1").out
    assert state() == "expired"
    assert "key 1 never ends" in swimctl("keys", "expire", "1", "--at", "never").out
    assert state() == "active"
    assert "key 1 is revoked" in swimctl("keys", "revoke", "1", "--yes", "--reason", "lost").out
    document = swimctl("keys", "show", "1", "--json").document()
    assert document["state"] == "revoked"
    assert [line["action"] for line in document["audit"]] == ["revoke", "expire", "expire", "expire", "create"]
    assert document["audit"][0]["detail"] == "lost"


def test_revoke_asks_and_without_a_terminal_needs_yes(swimctl: Command, key: str) -> None:
    outcome = swimctl("keys", "revoke", "1")
    assert outcome.code == 2
    assert "add --yes" in outcome.err
    assert swimctl("keys", "show", "1", "--json").document()["is_active"]


@pytest.mark.parametrize("words", ["show 9", "expire 9", "revoke 9 --yes", "rotate 9", "audit 9"])
def test_key_that_does_not_exist_is_exit_5(swimctl: Command, key: str, words: str) -> None:
    outcome = swimctl("keys", *words.split())
    assert outcome.code == 5
    assert "no key has the id 9" in outcome.err


def test_find_reads_the_key_from_standard_input(swimctl: Command, key: str) -> None:
    outcome = swimctl("keys", "find", "--json", given=f"{key}\n")
    assert outcome.document()["id"] == 1
    assert key not in outcome.out


@pytest.mark.parametrize(
    ("twist", "expected"),
    [
        (lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"), "mistyped"),
        (lambda key: key[:-1], "this key is not known"),
        (lambda key: "swim_dev_hp_test", "this key is not known"),
        (digest, "stored digest"),
        (lambda key: f"{key}\n{key}", "can't be a key"),
    ],
)
def test_find_of_anything_else_is_exit_5_and_says_why(
    swimctl: Command, key: str, twist: Callable[[str], str], expected: str
) -> None:
    outcome = swimctl("keys", "find", given=twist(key))
    assert outcome.code == 5
    assert expected in outcome.err
    assert key not in outcome.out + outcome.err


def test_rotate_makes_a_successor_and_ends_the_old_key_after_the_overlap(swimctl: Command, key: str) -> None:
    document = swimctl("keys", "rotate", "1", "--overlap", "7d", "--json").document()
    assert (document["id"], document["owner_name"], document["replaces"]["id"]) == (2, "Ada", 1)
    assert [row["state"] for row in swimctl("keys", "list", "--json").document()] == ["expiring", "active"]
    for text in (key, document["api_key"]):
        assert swimctl("keys", "find", given=text).code == 0
    assert swimctl("keys", "rotate", "1", "--overlap", "soon").code == 2


def test_rotate_of_an_ended_key_is_exit_1(swimctl: Command, key: str) -> None:
    swimctl("keys", "expire", "1")
    outcome = swimctl("keys", "rotate", "1")
    assert outcome.code == 1
    assert "key 1 is expired and can't be rotated" in outcome.err


def test_import_takes_csv_and_json_all_or_nothing_and_again(swimctl: Command, tmp_path: Path) -> None:
    table = tmp_path / "keys.csv"
    table.write_text("api_key,owner_name\nswim_dev_hp_test,HP\nswim_par_two,Two\n")
    assert swimctl("keys", "import", str(table), "--json").document() == {"imported": [1, 2], "existing": []}
    text = '[{"api_key": "swim_par_two", "owner": "2"}, {"api_key": "swim_pub_three", "owner": "3"}]'
    assert swimctl("keys", "import", "-", "--json", given=text).document() == {"imported": [3], "existing": [2]}
    broken = swimctl("keys", "import", "-", given="api_key,owner_name\nswim_pub_four,4\nx y,5\n")
    assert broken.code == 2
    assert "line 3" in broken.err
    assert len(swimctl("keys", "list", "--json").document()) == 3
    assert swimctl("keys", "find", given="swim_dev_hp_test").code == 0


def test_import_of_a_file_that_is_not_there_or_no_text_is_told(swimctl: Command, tmp_path: Path) -> None:
    assert swimctl("keys", "import", "nowhere.csv").code == 5
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in swimctl("keys", "import", "x.csv").err


def test_harden_hashes_what_the_former_system_left(swimctl: Command, home: Path, key: str) -> None:
    database = sqlite3.connect(home / "swim.db", isolation_level=None)
    database.execute(
        "INSERT INTO swim_api_keys (api_key, tier, owner_name, is_active)"
        " VALUES ('swim_dev_hp_test', 'developer', 'HP', 1)"
    )
    assert swimctl("keys", "harden").code == 2
    assert swimctl("keys", "harden", "--yes", "--json").document() == {"hardened": [2]}
    assert database.execute("SELECT COUNT(*) FROM swim_api_keys WHERE api_key LIKE 'sha256$%'").fetchone() == (2,)
    database.close()
    assert swimctl("keys", "find", given="swim_dev_hp_test").code == 0
    assert "already" in swimctl("keys", "harden").out


def test_audit_tells_who_did_what_to_which_key_and_from_where(swimctl: Command, key: str) -> None:
    swimctl("keys", "expire", "1")
    lines = swimctl("keys", "audit", "--json").document()
    assert [(line["action"], line["key_id"]) for line in lines] == [("expire", 1), ("create", 1)]
    assert all("@" in line["actor"] and line["origin"] and line["at"].endswith("Z") for line in lines)
    assert len(swimctl("keys", "audit", "1", "--limit", "1", "--json").document()) == 1
    assert key not in json.dumps(lines)


def test_created_key_stands_nowhere_on_disk(swimctl: Command, home: Path, key: str) -> None:
    swimctl("keys", "find", given=key)
    swimctl("keys", "rotate", "1")
    swimctl("keys", "revoke", "1", "--yes")
    files = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in files if key.encode() in path.read_bytes()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_database_that_can_not_be_used_is_exit_1_in_two_lines(
    swimctl: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o700)
    (home / "swim.db").write_bytes(b"this is not a database at all" * 100)
    outcome = swimctl("keys", "list")
    assert outcome.code == 1
    assert "not a database" in outcome.err
    assert len(outcome.err.strip().splitlines()) <= 2
    assert "Traceback" not in outcome.err


def test_locked_database_is_exit_1(swimctl: Command, home: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_DATABASE__QUERY_TIMEOUT_SECONDS", "0.01")
    locker = sqlite3.connect(home / "swim.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    outcome = swimctl("keys", "revoke", "1", "--yes")
    assert outcome.code == 1
    assert "locked" in outcome.err
    locker.close()
    assert swimctl("keys", "revoke", "1", "--yes").code == 0


def test_db_status_and_upgrade_tell_and_add_what_is_missing(swimctl: Command, home: Path) -> None:
    home.mkdir(mode=0o700)
    database = sqlite3.connect(home / "swim.db", isolation_level=None)
    database.execute(
        "CREATE TABLE swim_api_keys (id INTEGER PRIMARY KEY, api_key TEXT NOT NULL UNIQUE, tier TEXT, owner_name TEXT,"
        " is_active INTEGER)"
    )
    broken = swimctl("db", "status", "--json")
    assert broken.code == 1
    assert json.loads(broken.out)["missing_needed"] == ["expires_at"]
    statements = swimctl("db", "upgrade", "--sql").out
    assert "ALTER TABLE swim_api_keys ADD COLUMN expires_at DATETIME" in statements
    assert "swim_audit_log: added" in swimctl("db", "upgrade").out
    status = swimctl("db", "status", "--json").document()
    assert (status["usable"], status["up_to_date"], status["revision"]) == (True, True, status["newest_revision"])
    assert "nothing to add" in swimctl("db", "upgrade").out
    assert swimctl("db", "upgrade", "--sql").out == ""
    assert swimctl("keys", "create", "--tier", "public", "--owner", "x").code == 0
    database.close()


def test_key_commands_name_the_column_that_they_need(swimctl: Command, home: Path) -> None:
    home.mkdir(mode=0o700)
    database = sqlite3.connect(home / "swim.db")
    database.execute("CREATE TABLE swim_api_keys (id INTEGER PRIMARY KEY, api_key TEXT, tier TEXT, owner_name TEXT)")
    database.close()
    outcome = swimctl("keys", "list")
    assert outcome.code == 1
    assert "in table swim_api_keys: expires_at, is_active" in outcome.err
    assert "rename the columns back" in outcome.err


def test_printed_upgrade_does_what_the_upgrade_does(swimctl: Command, home: Path, tmp_path: Path) -> None:
    """A DBA runs the printed statements; afterwards there is nothing left to do."""
    statements = swimctl("db", "upgrade", "--sql").out
    home.mkdir()
    database = sqlite3.connect(home / "swim.db")
    database.executescript(statements)
    database.close()
    assert swimctl("db", "status", "--json").document()["up_to_date"]
    assert "nothing to add" in swimctl("db", "upgrade").out


def test_upgrade_brings_back_a_column_that_was_dropped(swimctl: Command, home: Path, key: str) -> None:
    swimctl("db", "upgrade")
    database = sqlite3.connect(home / "swim.db")
    database.execute("ALTER TABLE swim_api_keys DROP COLUMN key_hint")
    database.close()
    assert "key_hint" in swimctl("db", "upgrade").out
    assert swimctl("db", "status", "--json").document()["up_to_date"]
