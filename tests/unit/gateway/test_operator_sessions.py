"""A token opens a session once; a session is a signed cookie that ends by itself, by hand, or with the token."""

from __future__ import annotations

import pytest
from support.virtual_clock import clock_at
from swim_server.gateway.http.ops.sessions import ONCE_SECONDS, SESSION_SECONDS, OperatorSessions


def test_token_for_one_use_opens_one_session() -> None:
    sessions = OperatorSessions("operator", clock=clock_at(0))
    token = sessions.issue()
    cookie = sessions.open(token)
    assert sessions.check(cookie) is not None
    assert sessions.open(token) is None


def test_token_for_one_use_ends_by_itself() -> None:
    clock = clock_at(0)
    sessions = OperatorSessions("operator", clock=clock)
    token = sessions.issue()
    clock.advance(ONCE_SECONDS + 1)
    assert sessions.open(token) is None


def test_operators_own_token_may_be_typed_and_others_may_not() -> None:
    sessions = OperatorSessions("operator", clock=clock_at(0))
    assert sessions.open("operator") is not None
    assert [sessions.open(each) for each in ("", "operato", "operator ", "é")] == [None] * 4


def test_nobody_gets_in_where_there_is_no_operators_token() -> None:
    sessions = OperatorSessions(None, clock=clock_at(0))
    assert [sessions.open(each) for each in ("", "None")] == [None, None]


def test_session_outlives_the_process_but_not_its_token() -> None:
    cookie = OperatorSessions("operator", clock=clock_at(0)).open("operator")
    assert OperatorSessions("operator", clock=clock_at(0)).check(cookie) is not None
    assert OperatorSessions("another", clock=clock_at(0)).check(cookie) is None


def test_session_ends_after_its_time_and_is_renewed_before() -> None:
    clock = clock_at(0)
    sessions = OperatorSessions("operator", clock=clock)
    cookie = sessions.open("operator")
    session = sessions.check(cookie)
    assert session is not None
    assert sessions.renewed(session) is None
    clock.advance(SESSION_SECONDS / 2 + 1)
    renewed = sessions.renewed(session)
    clock.advance(SESSION_SECONDS / 2)
    assert sessions.check(cookie) is None
    assert sessions.check(renewed) is not None


def test_session_that_was_ended_stays_so_when_it_is_renewed() -> None:
    sessions = OperatorSessions("operator", clock=clock_at(0))
    cookie = sessions.open("operator")
    session = sessions.check(cookie)
    assert session is not None
    sessions.end(session)
    assert sessions.check(cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "a.b", "1.2.3", "99999999999.aa.bb", "x" * 5000, "9.é.ü", "²³.a.b"])
def test_invented_cookie_is_no_session(cookie: str | None) -> None:
    assert OperatorSessions("operator", clock=clock_at(0)).check(cookie) is None


def test_changed_cookie_is_no_session() -> None:
    sessions = OperatorSessions("operator", clock=clock_at(0))
    expiry, id, signature = str(sessions.open("operator")).split(".")
    assert sessions.check(f"{int(expiry) + 1}.{id}.{signature}") is None
    assert sessions.check(f"{expiry}.{id[:-1]}.{signature}") is None
