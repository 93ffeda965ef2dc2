"""Decodes the daemon's answers into typed documents."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from swimctl.errors import CommandFailed

T = TypeVar("T")


class UnreadableAnswer(CommandFailed):
    """The daemon's answer is not the expected document."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "swimctl restart")


def read_answer(method: str, answer: Any, shape: type[T]) -> T:
    """Decode an answer; fields unknown to this version are ignored. Raises UnreadableAnswer."""
    try:
        return msgspec.convert(answer, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnreadableAnswer(f"the daemon's answer to {method} can't be read: {error}") from None
