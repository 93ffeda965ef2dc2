"""All workers of a primary, as the rest of the daemon sees them: fed, counted, and asked together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from typing import TYPE_CHECKING, TypeVar

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.gateway.rpc import RpcError
from swim_server.workers import messages
from swim_server.workers.feed import Feed
from swim_server.workers.link import LinkLost, framed
from swim_server.workers.messages import NOTHING, Asked, Excess, Nothing
from swim_server.workers.report import Counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.brokers.served_history import ServedHistory
    from swim_server.daemon.workers.primary_parts import PrimaryParts
    from swim_server.daemon.workers.worker_process import WorkerProcess

PAUSE_ANSWER_SECONDS = 3.0
LOOK_SECONDS = 1.0
ASK_SECONDS = 3.0
"""How long a worker has to answer what an operator asks."""
RECENT_SECONDS = 600.0

D = TypeVar("D")


class Workers:
    """Knows the worker processes; the keeper starts and ends them. Lives on the primary's loop."""

    def __init__(self, count: int, primary: PrimaryParts, broker: NodeBroker, history: ServedHistory) -> None:
        self.count = count
        self.running: dict[int, WorkerProcess] = {}
        """By number, from 1; those that are alive."""
        self.restarts: dict[int, int] = dict.fromkeys(range(1, count + 1), 0)
        """How often each was started again, since the start."""
        self.last_end: dict[int, str] = {}
        """Why each last ended."""
        self.silent: list[str] = []
        """The workers that have not confirmed the last change of a key."""
        self.feed = Feed(broker, history, primary.tasks)
        self.is_stopping = False
        """No worker is started any more."""
        self.is_paused = False
        """No client is admitted in any worker."""
        self._primary = primary
        self._restarted_at: deque[tuple[int, float]] = deque(maxlen=1000)
        self._past = Counted()
        """What workers that are gone had counted."""

    def note_restart(self, number: int) -> None:
        """Count that a worker is started again."""
        self.restarts[number] += 1
        self._restarted_at.append((number, self._primary.clock.monotonic()))

    def note_gone(self, worker: WorkerProcess) -> None:
        """Keep what a worker that is gone had counted."""
        self._past = self._past.plus(worker.report.counted)

    def ready(self) -> list[WorkerProcess]:
        """Return the workers that serve."""
        return [worker for worker in self.running.values() if worker.state == "ready"]

    def serving(self) -> list[WorkerProcess]:
        """Return the workers that have clients, or may have: those that ask theirs to leave are among them."""
        return [worker for worker in self.running.values() if worker.state in ("ready", "leaving")]

    def recent_restarts(self, number: int) -> int:
        """Return how often a worker was started again within the last ten minutes."""
        since = self._primary.clock.monotonic() - RECENT_SECONDS
        return sum(each == number and at >= since for each, at in self._restarted_at)

    def lag_events(self, worker: WorkerProcess) -> int:
        """Return how many events a worker had not received when it last reported."""
        return max(self.feed.events - worker.events_before - worker.report.events, 0)

    def counted(self) -> Counted:
        """Return what all workers have counted since the start, those that are gone included."""
        found = self._past
        for worker in self.running.values():
            found = found.plus(worker.report.counted)
        return found

    async def look(self) -> None:
        """Have every worker report now; one that does not answer at once keeps its last report."""
        asked = {worker: worker.link.ask(messages.LOOK, NOTHING) for worker in self.ready()}
        if asked:
            await asyncio.wait(asked.values(), timeout=LOOK_SECONDS)
        for worker, answer in asked.items():
            if answer.done() and answer.exception() is None:
                worker.report = answer.result()

    async def ask(
        self, method: str, params: Mapping[str, object], kind: type[D], *, seconds: float = ASK_SECONDS
    ) -> tuple[list[D], list[RpcError]]:
        """Ask every worker a method of the control socket; return what those answer that do so in time."""
        body = Asked(method, msgspec.json.encode(params))
        asked = [worker.link.ask(messages.ASK, body) for worker in self.ready()]
        if asked:
            await asyncio.wait(asked, timeout=seconds)
        found: list[D] = []
        refused: list[RpcError] = []
        for answer in asked:
            error = answer.exception() if answer.done() else LinkLost()
            if error is None:
                found.append(msgspec.json.decode(answer.result().result, type=kind))
            elif isinstance(error, RpcError):
                refused.append(error)
        return found, refused

    def give_up(self, tier: str, number: int) -> int:
        """Have workers ask up to ``number`` clients of a tier to reconnect, most where most are; return how many."""
        held = Counter({worker: _places(worker, tier) for worker in self.ready()})
        shares: Counter[WorkerProcess] = Counter()
        for _ in range(min(number, held.total())):
            (fullest, _), *_ = held.most_common(1)
            held[fullest] -= 1
            shares[fullest] += 1
        for worker, share in shares.items():
            worker.link.tell(messages.GIVE_UP, Excess(tier, share))
        return shares.total()

    def tell_all(self, data: bytes) -> None:
        """Send framed messages to every worker that serves."""
        for worker in self.ready():
            worker.link.write(data)

    async def pause(self) -> None:
        """Admit nobody in any worker, until ``resume``: exactly those already admitted count."""
        self.is_paused = True
        await gather_answers(
            [worker.link.ask(messages.PAUSE, NOTHING) for worker in self.ready()], PAUSE_ANSWER_SECONDS
        )

    def resume(self) -> None:
        """Admit clients again. Idempotent."""
        self.is_paused = False
        self.tell_all(framed(messages.RESUME, NOTHING))

    async def reload(self) -> None:
        """Have every worker apply the configuration in force, and read the keys of its clients again."""
        config = self._primary.config.values
        for worker in self.ready():
            worker.config = config
        await gather_answers([worker.link.ask(messages.RELOAD, config) for worker in self.ready()], ASK_SECONDS)

    async def leave(self, skip_pacing: asyncio.Event, *, seconds: float) -> None:
        """Have every worker ask its clients to reconnect; return once they have left, at the latest after a while."""
        self.is_stopping = True
        leaving = self.ready()
        if not leaving:
            return
        first, asked = self._primary.endpoints.gateway.clients(), list[asyncio.Future[Nothing]]()
        for worker in leaving:
            worker.state = "leaving"
            asked.append(worker.link.ask(messages.LEAVE, messages.Leave(not skip_pacing.is_set(), first)))
            first += worker.open
        following = asyncio.create_task(self._follow_pacing(skip_pacing, leaving))
        try:
            await gather_answers(asked, seconds)
        finally:
            following.cancel()

    async def _follow_pacing(self, skip_pacing: asyncio.Event, leaving: Sequence[WorkerProcess]) -> None:
        if skip_pacing.is_set():
            return
        await skip_pacing.wait()
        for worker in leaving:
            worker.link.ask(messages.LEAVE, messages.Leave(False, 0))


def _places(worker: WorkerProcess, tier: str) -> int:
    return sum(count for (each, _), count in worker.places.items() if each == tier)


async def gather_answers(asked: Sequence[asyncio.Future[Nothing]], seconds: float) -> None:
    """Wait for answers; a worker that is gone or silent needs not answer."""
    if asked:
        done, _ = await asyncio.wait(asked, timeout=seconds)
        for waiter in done:
            with contextlib.suppress(LinkLost, BrokerUnavailable):
                waiter.result()
