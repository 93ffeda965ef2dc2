"""A ticket replaces its key once, and for a short time."""

from __future__ import annotations

import pytest
from support.virtual_clock import clock_at
from swim_server.gateway import tickets
from swim_server.gateway.tickets import LIFE_SECONDS, Tickets


def test_ticket_is_good_once() -> None:
    issued = Tickets(clock=clock_at(0))
    first, second = issued.issue("a"), issued.issue("b")
    assert first != second
    assert [issued.redeem(each) for each in (second, first, first, "invented")] == ["b", "a", "", ""]


def test_ticket_ends_by_itself() -> None:
    clock = clock_at(0)
    issued = Tickets(clock=clock)
    ticket = issued.issue("a")
    clock.advance(LIFE_SECONDS + 1)
    assert issued.redeem(ticket) == ""


def test_oldest_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "MAX_TICKETS", 2)
    issued = Tickets(clock=clock_at(0))
    made = [issued.issue(str(number)) for number in range(3)]
    assert [issued.redeem(each) for each in made] == ["", "1", "2"]
