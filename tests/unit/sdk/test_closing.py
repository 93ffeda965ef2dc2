"""What each close code means for the client."""

from __future__ import annotations

import pytest
from swim_client.backoff import Ending
from swim_client.errors import AuthenticationError, ProtocolError, RequestRefused


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1005, 1006, 1011, 1012, 1013, 1014, 4000, 4002, 4008, 4999])
def test_every_other_code_lets_the_client_connect_again(code: int) -> None:
    assert Ending(code).final_error() is None


def test_4001_ends_it_and_says_that_the_key_was_refused_and_why() -> None:
    error = Ending(4001, "Invalid API key").final_error()
    assert isinstance(error, AuthenticationError)
    assert error.code == 4001
    assert str(error).startswith("the key was refused (4001): Invalid API key.")


def test_auth_failed_ends_it_even_where_a_proxy_lost_the_close_code() -> None:
    error = Ending(1006, "", "AUTH_FAILED", "the key has expired").final_error()
    assert isinstance(error, AuthenticationError)
    assert "the key has expired" in str(error)


def test_other_errors_before_the_close_do_not_end_it() -> None:
    assert Ending(4002, "", "CONNECTION_LIMIT", "tier public is full").final_error() is None


def test_4003_ends_it_as_a_bug_of_this_client() -> None:
    error = Ending(4003, "not JSON").final_error()
    assert isinstance(error, ProtocolError)
    assert "not JSON" in str(error)


def test_the_advice_comes_from_the_reason() -> None:
    assert Ending(1012, "retry_ms=40").advice_seconds() == 0.04
    assert Ending(1012, "").advice_seconds() is None


def test_an_ending_is_told_in_words() -> None:
    assert str(Ending(4008)) == "this client could not keep up (4008)"
    assert str(Ending(4002, "x", "CONNECTION_LIMIT", "full")) == "a limit was reached (4002, CONNECTION_LIMIT: full)"
    assert str(Ending(3000, "because")) == "closed (3000, because)"


def test_notice_of_a_restart_says_when_to_come_back_where_the_close_does_not() -> None:
    assert Ending(1006, "", "RESTARTING", "the service restarts", 174).advice_seconds() == 0.174
    assert Ending(1012, "retry_ms=40", "RESTARTING", "the service restarts", 174).advice_seconds() == 0.04
    assert Ending(1006, "", "RESTARTING", "the service restarts").advice_seconds() is None
    assert Ending(1006, "", "RESTARTING", "x", 10**9).advice_seconds() == 3600
    assert Ending(4002, "", "CONNECTION_LIMIT", "full", 174).advice_seconds() is None


def test_notice_of_a_restart_names_the_ending() -> None:
    noticed = Ending(1006, "", "RESTARTING", "the service restarts", 174)
    assert str(noticed) == "the server asked this client to connect again (1006, RESTARTING: the service restarts)"
    assert noticed.told_reason() == "the service restarts"
    assert noticed.final_error() is None
    assert Ending(1006, "", "AUTH_UNAVAILABLE", "later").told_reason() == ""


def test_key_that_is_refused_after_the_notice_of_a_restart_ends_it() -> None:
    assert isinstance(
        Ending(4001, "revoked", "RESTARTING", "the service restarts", 174).final_error(), AuthenticationError
    )


@pytest.mark.parametrize("code", [1007, 1009, 4003])
def test_messages_that_the_server_cannot_take_stop_the_client(code: int) -> None:
    error = Ending(code, "enough").final_error()
    assert isinstance(error, ProtocolError)
    assert error.code == code


def test_message_that_this_side_could_not_take_is_no_reason_to_stop() -> None:
    assert Ending(1009, is_ours=True).final_error() is None


def test_refused_subscription_is_the_reason_to_stop() -> None:
    refused = RequestRefused("INVALID_CHANNEL", "no such channel")
    assert Ending(1000, refused=refused).final_error() is refused


def test_1012_says_what_the_server_says_and_speaks_of_no_restart() -> None:
    told = str(Ending(1012, "closed by the operator; retry_ms=1000"))
    assert told == "the server asked this client to connect again (1012, closed by the operator; retry_ms=1000)"
