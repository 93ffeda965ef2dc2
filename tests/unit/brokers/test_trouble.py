"""An error is due to the disk or to the file's content, and the two are never confused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.trouble import DiskTrouble, is_unread, unavailable

PATH = Path("/home/history.db")


@pytest.mark.parametrize(
    "finding",
    [
        "Tree 3 page 57: unable to get the page. error code=266",
        "Tree 3 page 57: unable to get the page. error code=10",
        "Page 7: btreeInitPage() returns error code 7",
        "Tree 3 page 9: failed to get page 12",
        "Failed to read ptrmap key=55",
        "disk I/O error",
    ],
)
def test_a_page_that_could_not_be_read_is_no_bad_page(finding: str) -> None:
    assert is_unread(finding)


@pytest.mark.parametrize(
    "finding",
    [
        "Page 7: btreeInitPage() returns error code 11",
        "Tree 3 page 57: unable to get the page. error code=522",
        "Tree 3 page 9 cell 2: Rowid 7 out of order",
        "Page 9: never used",
        "invalid page number 912",
        "ok",
    ],
)
def test_a_bad_page_is_none_that_could_not_be_read(finding: str) -> None:
    assert not is_unread(finding)


@pytest.mark.parametrize(("number", "is_disk"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EACCES, False)])
def test_trouble_that_may_pass_by_itself_has_its_own_error(number: int, is_disk: bool) -> None:
    error = unavailable(OSError(number, os.strerror(number)), PATH)
    assert isinstance(error, BrokerUnavailable)
    assert isinstance(error, DiskTrouble) is is_disk
    assert str(PATH) in error.reason
