"""Random bytes that are the same in every run."""

from __future__ import annotations

from random import Random


class SeededBytes:
    """Stands in for ``secrets.token_bytes``."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def __call__(self, count: int) -> bytes:
        return self._random.randbytes(count)
