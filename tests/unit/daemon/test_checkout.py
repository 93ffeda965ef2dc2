"""The commit of a checkout, without a git program."""

from __future__ import annotations

from pathlib import Path

import pytest
from swim_server.daemon.fingerprint import commit_of_checkout

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def git(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / ".git"
    folder.mkdir(parents=True)
    (tmp_path / "work" / "src").mkdir()
    return folder


def found(git: Path) -> str | None:
    return commit_of_checkout(git.parent / "src" / "x.py")


def test_commit_of_a_branch(git: Path) -> None:
    (git / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n", "utf-8")
    assert found(git) == COMMIT


def test_commit_of_a_packed_branch(git: Path) -> None:
    (git / "HEAD").write_text("ref: refs/heads/main\n", "utf-8")
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n"
    )
    assert found(git) == COMMIT


def test_commit_that_is_checked_out_itself(git: Path) -> None:
    (git / "HEAD").write_text(COMMIT, "utf-8")
    assert found(git) == COMMIT


def test_commit_of_a_work_tree(git: Path, tmp_path: Path) -> None:
    inner = git / "worktrees" / "other"
    inner.mkdir(parents=True)
    (inner / "HEAD").write_text("ref: refs/heads/other\n", "utf-8")
    (inner / "commondir").write_text("../..\n", "utf-8")
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "other").write_text(COMMIT, "utf-8")
    tree = tmp_path / "other"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {inner}\n", "utf-8")
    assert commit_of_checkout(tree / "x.py") == COMMIT


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "garbage", "ref: "])
def test_commit_of_a_checkout_without_one_is_unknown(git: Path, head: str) -> None:
    (git / "HEAD").write_text(head, "utf-8")
    assert found(git) is None


def test_commit_outside_of_any_checkout_is_unknown() -> None:
    assert commit_of_checkout(Path("/nonexistent/x.py")) is None
