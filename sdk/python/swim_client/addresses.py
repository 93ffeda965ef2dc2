"""The addresses of a service, any of which will do: which one to try next, and when. Pure: time is an argument."""

from __future__ import annotations

import random
import re
from typing import Callable, List, Optional, Sequence, Set, Union

from swim_client.backoff import LONGEST_ADVICE_SECONDS, Backoff

Urls = Union[str, Sequence[str]]
_BETWEEN = re.compile(r"\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")


def split_urls(given: Urls) -> List[str]:
    """Return the addresses of a list, or of a string in which commas separate them; each once.

    A comma inside an address does not separate: every address begins with a scheme, such as ``wss://``.
    """
    texts = [given] if isinstance(given, str) else list(given)
    found = [url.strip() for text in texts for url in _BETWEEN.split(text.strip().rstrip(","))]
    return list(dict.fromkeys(found))


class Addresses:
    """Takes turns over the addresses, in an order of this client's own.

    The order is shuffled once, so that the clients of a node that fails spread over all others. After a connection, and
    after a failed attempt, the next address has its turn; the backoff's waits come only between rounds, when every
    address has failed.
    """

    def __init__(self, urls: Sequence[str], shuffle: Callable[[List[str]], None] = random.shuffle) -> None:
        self._urls = list(urls)
        shuffle(self._urls)
        self._at = 0
        self._tried: Set[int] = set()
        """The addresses that have failed in this round."""
        self._barred_until = [float("-inf")] * len(self._urls)
        """When an address may be tried again whose server said so (``Retry-After``)."""

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The address in use, or the next one to be tried."""
        return self._urls[self._at]

    def is_last(self, now: float) -> bool:
        """Return True if no other address can be tried at once should the current one fail."""
        return not self._untried(self._tried | {self._at}, now)

    def ended(self, *, is_asked_back: bool) -> None:
        """Note the end of a connection that the server had admitted.

        ``is_asked_back``: the server said when to return, so it will be there: the clients of nodes that are restarted
        one after the other move once each, not to the node that is next.
        """
        self._tried.clear()
        if not is_asked_back:
            self._at = self._in_turn()[0]

    def failed(self, backoff: Backoff, now: float, *, told: Optional[float] = None, least: float = 0.0) -> float:
        """Note a failed attempt, and turn to the next address. Return how long to wait before it is tried.

        ``told``: how long this address asks to be left alone; ``least``: no wait between rounds is shorter.
        """
        if told is not None:
            self._barred_until[self._at] = now + min(told, LONGEST_ADVICE_SECONDS)
        self._tried.add(self._at)
        untried = self._untried(self._tried, now)
        if untried:
            self._at = untried[0]
            return 0.0
        self._tried.clear()
        free = self._untried(self._tried, now)
        if free:
            self._at = free[0]
            return max(backoff.wait_seconds(), least)
        self._at = min(self._in_turn(), key=lambda number: self._barred_until[number])
        return backoff.wait_as_told_seconds(self._barred_until[self._at] - now)

    def _in_turn(self) -> List[int]:
        """Return the numbers of all addresses, the current one last."""
        return [(self._at + step) % len(self._urls) for step in range(1, len(self._urls) + 1)]

    def _untried(self, tried: Set[int], now: float) -> List[int]:
        return [number for number in self._in_turn() if number not in tried and self._barred_until[number] < now]
