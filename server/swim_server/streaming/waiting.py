"""Messages of a client that wait during a look-up in history, undecoded, as that is smallest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Waiting:
    """Messages in the order in which they came, and their total size in bytes."""

    __slots__ = ("_payloads", "size_bytes")

    def __init__(self) -> None:
        self._payloads: list[bytes] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._payloads)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._payloads)

    def append(self, payload: bytes) -> None:
        """Add a message."""
        self._payloads.append(payload)
        self.size_bytes += len(payload)

    def extend(self, payloads: Iterable[bytes]) -> None:
        """Add several messages."""
        for payload in payloads:
            self.append(payload)
