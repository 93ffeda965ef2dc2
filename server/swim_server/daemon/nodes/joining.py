"""Builds what a node does with the others that share its broker. Nothing is opened here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.local import LocalBroker
from swim_server.config import AdlSourceConfig, EcfmpSourceConfig, SimulatorSourceConfig, VatsimSourceConfig
from swim_server.daemon.nodes.clients import ask_to_resume, give_up
from swim_server.daemon.sources import state_name
from swim_server.keys.write_behind.endings import Ending
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.brokers.origin import Hole
    from swim_server.cluster.cluster import Cluster
    from swim_server.cluster.membership import NodeReport
    from swim_server.concurrency.tasks import Tasks
    from swim_server.config import Config, SourceConfig
    from swim_server.daemon.components import Components
    from swim_server.daemon.home import Home
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.daemon.workers.workers import Workers
    from swim_server.keys.authenticator import Authenticator
    from swim_server.sources.source import Source
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.hub import Hub

_ALIKE = ("tiers", "history", "channels", "state", "sources", "publish")
"""The settings that all nodes should share."""
FIRST_KEYS = 20
"""Among so many ids the first key is looked for, by which two key databases are told apart."""


def build_cluster(broker: NodeBroker, admission: Admission, tasks: Tasks, hub: Hub, config: Config) -> Cluster | None:
    """Build what this node does with the others; None if there are none."""
    if isinstance(broker, LocalBroker):
        return None
    from swim_server.brokers.redis_stream.broker import RedisBroker
    from swim_server.cluster.admission import SharedAdmission
    from swim_server.cluster.cluster import Cluster

    assert isinstance(broker, RedisBroker), "there is no third broker"
    assert isinstance(admission, SharedAdmission), "it is built for the same broker"
    cluster = Cluster(broker, admission, tasks, configuration=configuration_digest(config))
    cluster.on_excess = lambda tier, number: give_up(hub, tier, number)
    broker.tail.on_hole = lambda _: ask_to_resume(hub)
    return cluster


def pass_on_between_nodes(cluster: Cluster, workers: Workers) -> None:
    """Let the clients of worker processes, too, hear of missing events and give up places that others have used."""
    tail, give_up_here, ask_here = cluster.broker.tail, cluster.on_excess, cluster.broker.tail.on_hole
    assert give_up_here is not None and ask_here is not None, "they were set with the cluster"

    def on_hole(hole: Hole) -> None:
        ask_here(hole)
        workers.feed.hole()

    def on_excess(tier: str, number: int) -> None:
        elsewhere = workers.give_up(tier, number)
        give_up_here(tier, number - elsewhere)

    tail.on_hole, cluster.on_excess = on_hole, on_excess


def describe_node(report: NodeReport, info: LockInfo, parts: Components) -> NodeReport:
    """Fill in what the other nodes show of this one: its program, its clients and its sources."""
    from swim_server.cluster.membership import home_digest

    config, sources = parts.config.values, parts.sources.statuses()
    wanted = zip(config.sources, sources, strict=False)
    return msgspec.structs.replace(
        report, configuration=configuration_digest(config), settings=settings_digests(config),
        version=info.version, fingerprint=info.fingerprint, pid=info.pid, url=info.url, started_at=info.started_at,
        connections=parts.gateway.clients(), home=home_digest(parts.home.path),
        sources=[each.name for each in sources if each.state == "running"],
        wanted_sources=[each.name for settings, each in wanted if _state_beginning(settings, each.name) is not None],
    )  # fmt: skip


def watch_keys(cluster: Cluster, authenticator: Authenticator, key_watch: KeyWatch) -> None:
    """Close connections on this node too when another node changes their key."""

    async def key_changed(key_id: int, ending: str | None, ended: str | None) -> int:
        ended_unstored = None if ending is None else msgspec.json.decode(ending, type=Ending)
        if ended_unstored is not None:
            await authenticator.recorder.end(ended_unstored)
        authenticator.forget(key_id)
        if ended is not None:
            return await key_watch.end_as_told(key_id, ended)
        try:
            return await key_watch.key_changed(key_id)
        except StoreError:
            return 0 if ended_unstored is None else await key_watch.end_in_memory(key_id, ended_unstored)

    async def keys_unknown() -> None:
        await key_watch.start_over()

    async def whose_keys() -> str:
        try:
            found = await authenticator.look_up(range(1, FIRST_KEYS + 1))
        except StoreError:
            return ""
        first = min(found.values(), key=lambda record: record.id, default=None)
        return "" if first is None else hashlib.sha256(f"{first.id} {first.created_at}".encode()).hexdigest()[:12]

    cluster.keys.on_changed, cluster.keys.on_unknown = key_changed, keys_unknown
    cluster.keys.on_alone = key_watch.recheck_all
    cluster.identify_keys = whose_keys


def lease_sources(cluster: Cluster, config: Config, home: Home, sources: Sequence[Source]) -> list[Source]:
    """Return the sources; those that one node runs for all are wrapped, the others read this node's disk."""
    from swim_server.cluster.leased_source import LeasedSource, StateFiles

    leased: list[Source] = []
    for source, settings in zip(sources, config.sources, strict=True):
        beginning = _state_beginning(settings, source.status.name)
        if beginning is None:
            leased.append(source)
        else:
            leased.append(LeasedSource(source, StateFiles(home.sources, beginning), cluster.broker, cluster.line))
    return leased


def _state_beginning(settings: SourceConfig, name: str) -> str | None:
    """Return the prefix of a source's state files; None: each node runs it for itself."""
    match settings:
        case VatsimSourceConfig() | EcfmpSourceConfig():
            return state_name(str(settings.__struct_config__.tag), f"{name} {settings.url}")
        case SimulatorSourceConfig():
            return state_name("simulator", name)
        case AdlSourceConfig():
            return f"adl-{name}"
    return None


def configuration_digest(config: Config) -> str:
    """Return a digest of the settings that all nodes should share."""
    return _digest([getattr(config, name) for name in _ALIKE])


def settings_digests(config: Config) -> dict[str, str]:
    """Return digests of these settings by table."""
    return {name: _digest(getattr(config, name)) for name in _ALIKE}


def _digest(settings: object) -> str:
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:12]
