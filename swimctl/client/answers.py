"""Reads the daemon's answers as the documents that they are."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from swimctl.errors import CommandFailed

T = TypeVar("T")


class UnreadableAnswer(CommandFailed):
    """The daemon answered with something that is no such document."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "swimctl restart")


def read_answer(method: str, answer: Any, shape: type[T]) -> T:
    """Read an answer; fields that this version doesn't know are passed over. Raises UnreadableAnswer."""
    try:
        return msgspec.convert(answer, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnreadableAnswer(f"the daemon's answer to {method} can't be read: {error}") from None
