"""What a restart would cost at this moment, in words. Pure: facts in, advice out."""

from __future__ import annotations

from typing import Literal

import msgspec

Answer = Literal["yes", "wait", "no"]


class RestartFacts(msgspec.Struct, kw_only=True):
    """What the advice depends on."""

    refusal: str | None = None
    """Why the supervisor would take a restart for the end of the service."""
    is_handing_over: bool = False
    config_problem: str | None = None
    config_changes: list[str] = []
    """Settings that a restart would change."""
    is_state_loaded: bool = True
    history_trouble: str | None = None
    keys_not_stored: list[int] = []
    catching_up: int = 0
    lagging: int = 0
    connections: int = 0
    not_resuming: int = 0
    """Clients that were never told an event id: they miss what happens while they are away."""


class Reason(msgspec.Struct, frozen=True):
    """A reason against a restart, or something worth knowing before one."""

    answer: Answer
    text: str


class RestartAdvice(msgspec.Struct, kw_only=True):
    """The advice, and its reasons."""

    answer: Answer
    reasons: list[Reason]


def advise(facts: RestartFacts) -> RestartAdvice:
    """Weigh the facts: the worst reason decides."""
    reasons = [*_against(facts), *_waiting(facts), *_worth_knowing(facts)]
    answer: Answer = "yes"
    for worse in ("wait", "no"):
        if any(reason.answer == worse for reason in reasons):
            answer = worse
    return RestartAdvice(answer=answer, reasons=reasons)


def _against(facts: RestartFacts) -> list[Reason]:
    found = []
    if facts.refusal is not None:
        found.append(Reason("no", facts.refusal))
    if facts.is_handing_over:
        found.append(Reason("no", "a restart is under way: two processes share the clients"))
    if facts.config_problem is not None:
        found.append(Reason("no", f"the new process would not start: {facts.config_problem}"))
    return found


def _waiting(facts: RestartFacts) -> list[Reason]:
    found = []
    if not facts.is_state_loaded:
        found.append(Reason("wait", "the state is still being loaded"))
    if facts.history_trouble is not None:
        found.append(Reason("wait", f"history is in trouble, which a restart does not mend: {facts.history_trouble}"))
    if facts.keys_not_stored:
        ids = ", ".join(map(str, facts.keys_not_stored[:10]))
        text = f"keys that were ended are not stored yet, and would be good again: {ids}; wait for the key database"
        found.append(Reason("wait", text))
    if facts.catching_up:
        text = f"{_clients(facts.catching_up)} being sent history, and would begin with that again"
        found.append(Reason("wait", text))
    return found


def _worth_knowing(facts: RestartFacts) -> list[Reason]:
    found = []
    if facts.not_resuming:
        text = f"{_clients(facts.not_resuming)} not resuming, and would miss what happens until back"
        found.append(Reason("yes", text))
    if facts.lagging:
        found.append(Reason("yes", f"{_clients(facts.lagging)} slow now; what waits is sent after the reconnect"))
    if facts.config_changes:
        names = ", ".join(facts.config_changes[:8])
        found.append(Reason("yes", f"a restart would also change {names}"))
    resuming = facts.connections - facts.not_resuming
    if resuming > 0:
        order = ", one after the other" if resuming > 1 else ""
        found.append(
            Reason("yes", f"{_clients(resuming)} asked to move{order}; nothing is lost to clients that resume")
        )
    return found or [Reason("yes", "nobody is connected")]


def _clients(count: int) -> str:
    return "1 client is" if count == 1 else f"{count:,} clients are"
