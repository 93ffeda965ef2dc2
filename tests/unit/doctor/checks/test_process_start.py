"""What doctor concludes about how the process was started, and about files that were taken from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext, status_document

from swimctl.doctor.checks.process.start import has_its_files, has_right_user, is_supervised, logs_little


@pytest.mark.parametrize("is_taken", [False, True])
async def test_renamed_file_is_to_be_put_back_unless_its_name_is_taken(context: FakeContext, is_taken: bool) -> None:
    home = context.home
    home.database.with_name("swim.db.old").touch()
    if is_taken:
        home.database.touch()
    context.answers["status"] = status_document()
    context.fakes.opened[42] = [f"{home.database}.old", f"{home.database}-wal"]
    answer = await has_its_files(context)
    assert answer.fix is None
    assert not [each for each in answer.advice if "restart" in each.command], "it would begin without keys"
    back = f"mv -n {home.database}.old {home.database}"
    assert [each.command for each in answer.advice if each.command.startswith("mv")] == ([] if is_taken else [back])


@pytest.mark.parametrize(
    ("told", "status", "observed"),
    [
        ({"supervisor": "supervisord", "supervised_as": "swim:swim"}, "ok", "supervisord runs it as swim:swim"),
        ({"has_terminal": True}, "warn", "it runs at a terminal, and ends with it"),
        ({}, "ok", "nothing restarts it after a crash: it was started by hand"),
    ],
)
async def test_supervisor_is_told(context: FakeContext, told: dict[str, Any], status: str, observed: str) -> None:
    context.answers["status"] = status_document(**told)
    answer = await is_supervised(context)
    assert (answer.status, answer.observed, answer.fix) == (status, observed, None)


async def test_process_of_another_user_than_the_homes_warns(context: FakeContext) -> None:
    context.fakes.users[42] = os.geteuid()
    assert (await has_right_user(context)).status == "ok"
    context.fakes.users[42] = os.geteuid() + 4000
    answer = await has_right_user(context)
    assert (answer.status, answer.fix) == ("warn", None)
    assert f"it runs as #{os.geteuid() + 4000}" in answer.observed
    context.fakes.users.clear()
    assert (await has_right_user(context)).status == "skip"


async def test_file_replaced_under_the_process_is_named_with_what_is_in_the_old_one(
    context: FakeContext, tmp_path: Path
) -> None:
    context.answers["status"] = status_document(history={"events": 7})
    assert (await has_its_files(context)).status == "skip"
    context.fakes.opened[42] = [str(context.home.history)]
    assert (await has_its_files(context)).status == "ok"
    context.fakes.opened[42] = [f"{context.home.history} (deleted)"]
    answer = await has_its_files(context)
    assert (answer.status, answer.fix) == ("fail", None)
    assert f"{context.home.history} was removed or replaced" in answer.observed
    assert [each.command for each in answer.advice][:1] == ["swimctl restart"]
    assert "7 events are in the old history, which goes when the process ends" in answer.evidence
    context.fakes.opened[42] = [f"{context.home.history}.old", f"{context.home.history}-wal", str(context.home.history)]
    assert (
        f"{context.home.history} was renamed to {context.home.history}.old" in (await has_its_files(context)).observed
    )
    context.fakes.opened[42] = ["/elsewhere/history.db", f"{context.home.history}-wal"]
    answer = await has_its_files(context)
    assert f"{context.home.history} was renamed to /elsewhere/history.db" in answer.observed
    assert not [each for each in answer.advice if each.command.startswith("mv")], "the files beside it are elsewhere"
    context.fakes.opened[42] = [f"{context.home.history}-wal"]
    assert f"{context.home.history} was moved away" in (await has_its_files(context)).observed


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"logging": {"level": "info"}, "server": {"public_url": "wss://swim.test"}}, "ok"),
        ({"logging": {"level": "debug"}, "server": {}}, "ok"),
        ({"logging": {"level": "debug"}, "server": {"public_url": "wss://swim.test"}}, "warn"),
    ],
)
async def test_level_debug_is_told_where_others_use_it(
    context: FakeContext, config: dict[str, Any], status: str
) -> None:
    context.answers["config"] = config
    assert (await logs_little(context)).status == status
