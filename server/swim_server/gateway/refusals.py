"""Refused connections: counted, slowed down if there are too many, and logged without letting anyone fill the log."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from swim_server.keys.permissions import is_within
from swim_server.keys.records import Refused
from swim_server.keys.throttle import Attempts, client_address, group_of

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.logs import Logger

LOG_EVERY_SECONDS = 10.0
"""One line per address in this time; what it leaves out is counted in the next one."""
MOST_LINES = 50
"""Maximum lines for all addresses in that time; the first line after it says how many were left out."""
REMEMBERED_ADDRESSES = 1000
NO_GUESSES = frozenset({"missing", "malformed", "checksum"})
"""Refusals from which no secret can be learned, so that repeated ones count little."""


REMEMBERED_REFUSALS = 5000


class Refusals:
    """What is known of addresses whose keys were refused."""

    def __init__(self, trusted_proxies: Sequence[str], *, clock: Clock, log: Logger) -> None:
        self.counts: Counter[str] = Counter()
        self._recent: deque[tuple[float, str, int | None]] = deque(maxlen=REMEMBERED_REFUSALS)
        """Refused connections since the start, by reason."""
        self.trusted_proxies = tuple(trusted_proxies)
        self._attempts = Attempts()
        self._monotonic = clock.monotonic
        self._log = log
        self._logged: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By address or network: when a line was last written, and how many refusals there were since."""
        self.on_bad_key: Callable[[str, bytes], None] | None = None
        """Called with the address and a mark of each bad key, for other processes that serve the same addresses."""
        self._window_began = -LOG_EVERY_SECONDS
        self._lines = 0
        self._unlogged = 0

    def address_of(self, peer: Sequence[object] | None, forwarded_for: Sequence[str]) -> str:
        """Return the address of a client: the peer's, or the one that trusted proxies report."""
        return client_address(str(peer[0]), forwarded_for, self.trusted_proxies) if peer else "unknown"

    def retry_after(self, address: str) -> int | None:
        """Return the seconds after which this address may try again; None: it may now.

        A trusted proxy's own address stands for everyone behind it: there, answers to bad keys are only delayed.
        """
        if is_within(address, self.trusted_proxies):
            return None
        return self._attempts.retry_after(address, self._monotonic())

    def succeeded(self, address: str) -> None:
        """Note a valid key from this address."""
        self._attempts.succeeded(address, self._monotonic())

    def failed(self, address: str, api_key: str, refused: Refused) -> float:
        """Count a refused key; return for how many seconds its answer must be delayed."""
        now = self._monotonic()
        is_guess = refused.reason not in NO_GUESSES
        mark = hashlib.sha256(api_key.encode()).digest() if is_guess else refused.reason.encode()
        self._attempts.failed(address, now, mark)
        if self.on_bad_key is not None:
            self.on_bad_key(address, mark)
        self.note(refused.reason, address, key_id=refused.key_id)
        return self._attempts.penalty_seconds(address, now)

    def failed_elsewhere(self, address: str, mark: bytes) -> None:
        """Count a bad key that another process has refused."""
        self._attempts.failed(address, self._monotonic(), mark)

    def note(self, reason: str, address: str, **details: Any) -> None:
        """Count and log one refused connection."""
        self.counts[reason] += 1
        now = self._monotonic()
        key_id = details.get("key_id")
        self._recent.append((now, reason, key_id if isinstance(key_id, int) else None))
        group = group_of(address)
        last, suppressed = self._logged.pop(group, (-LOG_EVERY_SECONDS, 0))
        if now - last >= LOG_EVERY_SECONDS and self._may_log(now):
            self._log.info("refused", reason=reason, remote=address, suppressed=suppressed, **details)
            last, suppressed = now, -1
        self._logged[group] = (last, suppressed + 1)
        if len(self._logged) > REMEMBERED_ADDRESSES:
            self._logged.popitem(last=False)

    def recent(self, seconds: float) -> Counter[tuple[str, int | None]]:
        """Count the refusals of the last ``seconds``, by reason and key; at most the newest thousands."""
        since = self._monotonic() - seconds
        return Counter((reason, key_id) for at, reason, key_id in self._recent if at >= since)

    def _may_log(self, now: float) -> bool:
        """Take one of the log lines that all addresses share."""
        if now - self._window_began >= LOG_EVERY_SECONDS:
            if self._unlogged:
                self._log.info(
                    "refused", reason="too many refused addresses to log each of them", suppressed=self._unlogged
                )
            self._window_began, self._lines, self._unlogged = now, 0, 0
        self._lines += 1
        self._unlogged += self._lines > MOST_LINES
        return self._lines <= MOST_LINES
