"""Chooses the broker and the counter of connections according to the configuration. Nothing is opened here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.recovery.trouble_note import folder_for_notes
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import ServedHistory
from swim_server.config import parse_duration
from swim_server.daemon.rules import tier_limits
from swim_server.errors import ExitKind, OperatorError
from swim_server.streaming.admission import Admission

if TYPE_CHECKING:
    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.brokers.redis_stream.server import ServerAddress
    from swim_server.config import BrokerConfig, Config
    from swim_server.daemon.home import Home

LOCAL = "local"


class NotShared(OperatorError):
    """Several nodes are configured, but something that they must share belongs to this node alone."""

    exit_kind = ExitKind.WRONG_USAGE


class BrokerSecret(OperatorError):
    """The password of the server can't be read."""

    exit_kind = ExitKind.WRONG_USAGE


def check_shared(config: Config, home: Home) -> None:
    """Refuse a shared broker with a key database that other nodes can't reach. Raises NotShared."""
    if config.broker.url == LOCAL:
        return
    url = config.database.url
    path = url.partition(":///")[2].partition("?")[0] if url is not None and url.startswith("sqlite") else None
    is_own = (url is None and config.database.odbc is None) or (path is not None and _is_in(Path(path), home.path))
    if is_own:
        raise NotShared(
            "[broker] url names a server that several nodes share, but the key database is this home's own: "
            "set [database] url to one that every node uses"
        )


def _is_in(path: Path, folder: Path) -> bool:
    return path.absolute().resolve().is_relative_to(folder.resolve())


def build_broker(config: Config, home: Home) -> NodeBroker:
    """Build the broker that ``[broker]`` names with the retention of ``[history]``. Raises NotShared, BrokerSecret."""
    history = config.history
    keep_ms, keep_positions_ms = (int(parse_duration(each) * 1000) for each in (history.keep, history.keep_positions))
    retention = Retention(keep_ms, keep_positions_ms, history.max_bytes)
    options = FileOptions(synchronous=history.synchronous)
    if config.broker.url == LOCAL:
        options = FileOptions(synchronous=history.synchronous, notes=folder_for_notes(os.environ))
        return LocalBroker(home.history, retention=retention, options=options)
    from swim_server.brokers.redis_stream.broker import RedisBroker
    from swim_server.cluster.membership import node_name

    check_shared(config, home)
    return RedisBroker(
        home.history,
        server_address(config.broker),
        prefix=config.broker.prefix,
        node=node_name(config.cluster.node, home.path),
        retention=retention,
        options=options,
    )


def served_history(broker: NodeBroker) -> ServedHistory:
    """Return the history on this machine that the broker reads: its own, or its copy of the shared one."""
    if isinstance(broker, ServedHistory):
        return broker
    from swim_server.brokers.redis_stream.broker import RedisBroker

    assert isinstance(broker, RedisBroker), "there is no third broker"
    return broker.copy


def server_address(config: BrokerConfig) -> ServerAddress:
    """Return the server's address, with the password. Raises BrokerSecret."""
    from swim_server.brokers.redis_stream.server import ServerAddress

    password = config.password
    if config.password_file is not None:
        if password is not None:
            raise BrokerSecret("in [broker]: password and password_file are both set: keep one of them")
        try:
            text = Path(config.password_file).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "not a text in UTF-8"
            raise BrokerSecret(f"in [broker] password_file: can't read {config.password_file}: {reason}") from None
        password = text.partition("\n")[0].rstrip("\r")
    return ServerAddress(config.url, config.username, password)


def build_admission(config: Config) -> Admission:
    """Build what counts connections: those of this node, or of all nodes."""
    limits = tier_limits(config.tiers)
    if config.broker.url == LOCAL:
        return Admission(limits)
    from swim_server.cluster.admission import SharedAdmission

    return SharedAdmission(limits)
