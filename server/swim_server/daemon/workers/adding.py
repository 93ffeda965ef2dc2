"""Adds what the workers report to the documents of their primary, so that they are of the whole service."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING

import msgspec

from swim_server.daemon.control.documents.connections import BusyConnection, ChannelCount
from swim_server.daemon.control.documents.diagnostics import KeyTally, PeerTally, RecentRefusals
from swim_server.daemon.control.documents.status import Percentiles, WorkerDocument
from swim_server.streaming.explain.outcome import RANK, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swim_server.daemon.control.documents.connections import Connections
    from swim_server.daemon.control.documents.diagnostics import Tally
    from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained
    from swim_server.daemon.control.documents.status import Status
    from swim_server.daemon.workers.workers import Workers
    from swim_server.workers.report import Report

MAX_PEERS = 20


class TopPart(msgspec.Struct, kw_only=True):
    """One process's part of the answer to ``top``."""

    channels: list[ChannelCount] = []
    busiest: list[BusyConnection] = []
    slow: list[BusyConnection] = []

    def include(self, others: Iterable[TopPart], count: int) -> None:
        """Add the parts of other processes; keep the ``count`` first ones."""
        every = [self, *others]
        channels: Counter[str] = Counter()
        for part in every:
            channels.update({each.channel: each.connections for each in part.channels})
        self.channels = [
            ChannelCount(channel=channel, connections=number) for channel, number in channels.most_common(count)
        ]
        busiest = [each for part in every for each in part.busiest]
        slow = [each for part in every for each in part.slow]
        self.busiest = nlargest(count, busiest, key=lambda each: each.per_second)
        self.slow = nlargest(count, slow, key=lambda each: each.buffered_bytes)


def add_workers(status: Status, workers: Workers) -> None:
    """Add what the workers have counted, and list them. Times are those of the slowest process."""
    reports = [worker.report for worker in workers.running.values()]
    counted = workers.counted()
    status.deliveries += counted.deliveries
    status.refused = dict(Counter(status.refused) + Counter(counted.refused))
    status.slow_consumers.closed += counted.slow_consumers
    status.slow_consumers.lagging += sum(report.lagging for report in reports)
    status.subscription_groups += sum(report.groups for report in reports)
    status.deliveries_per_second = round(
        status.deliveries_per_second + sum(report.deliveries_per_second for report in reports), 2
    )
    status.latency_ms = slowest(report.latency_ms for report in reports) or status.latency_ms
    lags = [report.loop_lag_ms for report in reports if report.loop_lag_ms]
    status.loop_lag_ms = slowest([msgspec.to_builtins(status.loop_lag_ms), *lags]) or status.loop_lag_ms
    status.workers = [_document(number, workers) for number in range(1, workers.count + 1)]


def slowest(found: Iterable[dict[str, float] | None]) -> Percentiles | None:
    """Return the highest of each percentile; None: nothing was measured."""
    known = [each for each in found if each is not None]
    if not known:
        return None
    return Percentiles(**{name: max(each.get(name, 0.0) for each in known) for name in ("p50", "p99", "max")})


def _document(number: int, workers: Workers) -> WorkerDocument:
    worker = workers.running.get(number)
    document = WorkerDocument(
        number=number,
        restarts=workers.restarts[number],
        recent_restarts=workers.recent_restarts(number),
        last_end=workers.last_end.get(number),
    )
    if worker is None:
        return document
    report: Report = worker.report
    document.pid, document.connections = worker.pid, worker.open
    document.state = "silent" if worker.state == "ready" and worker.is_silent else worker.state
    document.lag_events, document.waiting_bytes = workers.lag_events(worker), worker.link.waiting_bytes
    document.report_age_seconds = round(worker.silent_seconds, 1)
    document.uptime_seconds = round(worker.uptime_seconds, 1)
    document.memory_bytes, document.cpu_seconds = report.memory_bytes, report.cpu_seconds
    document.loop_lag_p99_ms = report.loop_lag_ms.get("p99", 0.0)
    return document


def add_connections(mine: Connections, others: Sequence[Connections]) -> Connections:
    """Add the connections of other processes."""
    for other in others:
        mine.connections += other.connections
    return mine


def add_tally(mine: Tally, others: Sequence[Tally], *, most: int) -> Tally:
    """Add the counts of other processes. Places are counted by the primary alone."""
    for other in others:
        for name in ("made", "gone", "public", "closing", "slow_consumers"):
            setattr(mine, name, getattr(mine, name) + getattr(other, name))
        for name in ("listed", "agents", "without_channel"):
            setattr(mine, name, dict(Counter(getattr(mine, name)) + Counter(getattr(other, name))))
        mine.evictions += other.evictions
        mine.lagging = (mine.lagging + other.lagging)[:most]
        keys = Counter({(each.key_id, each.tier, each.owner): each.connections for each in mine.keys})
        keys.update({(each.key_id, each.tier, each.owner): each.connections for each in other.keys})
        mine.keys = [
            KeyTally(key_id=key_id, tier=tier, owner=owner, connections=number)
            for (key_id, tier, owner), number in keys.items()
        ]
        refused = Counter({(each.reason, each.key_id): each.count for each in mine.refused})
        refused.update({(each.reason, each.key_id): each.count for each in other.refused})
        mine.refused = [
            RecentRefusals(reason=reason, key_id=key_id, count=number)
            for (reason, key_id), number in refused.most_common(most)
        ]
        mine.peers = _peers([*mine.peers, *other.peers])
    return mine


def _peers(found: Sequence[PeerTally]) -> list[PeerTally]:
    """Add up the connections of each address."""
    counts: Counter[str] = Counter()
    oldest: dict[str, float] = {}
    for each in found:
        counts[each.address] += each.connections
        oldest[each.address] = max(each.oldest_seconds, oldest.get(each.address, 0.0))
    return [
        PeerTally(address=address, connections=number, oldest_seconds=oldest[address])
        for address, number in counts.most_common(MAX_PEERS)
    ]


def best_event(answers: Sequence[EventExplained]) -> EventExplained | None:
    """Combine what each process knows of an event and a consumer: the one that got furthest with it explains it.

    The first answer is that of the process which knows the key. None: there is none.
    """
    if not answers:
        return None
    best = min(answers, key=lambda each: (RANK[Outcome(each.outcome)], not each.connections_remembered))
    first = answers[0]
    seen = [each for answer in answers if answer.connections_remembered for each in answer.consumers]
    return msgspec.structs.replace(
        best,
        consumers=sorted(seen, key=lambda each: RANK[Outcome(each.outcome)]) or first.consumers,
        connections_remembered=sum(each.connections_remembered for each in answers),
        key=first.key,
        key_problem=first.key_problem,
        remembered_since=max(each.remembered_since for each in answers),
    )


def all_subscriptions(answers: Sequence[ChannelExplained], *, most: int) -> ChannelExplained | None:
    """Combine what the subscriptions of each process would have received; None: there is no answer."""
    if not answers:
        return None
    first = answers[0]
    found = list(first.subscriptions)
    for each in (each for answer in answers[1:] for each in answer.subscriptions):
        same = next((one for one in found if (one.channels, one.filters) == (each.channels, each.filters)), None)
        if same is None:
            found.append(each)
        else:
            same.connections = [*same.connections, *each.connections]
    left_out = sum(each.subscriptions_left_out for each in answers) + max(len(found) - most, 0)
    return msgspec.structs.replace(
        first,
        subscriptions=found[:most],
        subscriptions_left_out=left_out,
        is_complete=all(each.is_complete for each in answers),
        has_gap=any(each.has_gap for each in answers),
        remembered_since=max(each.remembered_since for each in answers),
    )
