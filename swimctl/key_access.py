"""The key store for commands: opened as configured, its errors explained, the daemon notified of changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from swimctl.errors import CommandError, CommandFailed, DaemonNotRunning, NotFound, WrongUsage

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.keys import ListedKeys
    from swim_server.keys.audit import Actor
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.store import KeyStore
    from swim_server.sql.database import Database
    from swim_server.sql.errors import StoreError

    from swimctl.client.control import ControlClient
    from swimctl.invocation import Invocation

PATIENCE_SECONDS = 90
"""How long a command retries while a server is waking up or busy: a paused Azure database takes up to a minute
(40613), and Microsoft recommends retrying with growing delays."""


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


@contextmanager
def open_store(invocation: Invocation) -> Iterator[KeyStore]:
    """Open the configured key store for one command. Raises CommandError for any error of the store."""
    import secrets

    from swim_server.concurrency.clock import SYSTEM_CLOCK
    from swim_server.keys.store import KeyStore

    with open_database_of(invocation) as database:
        yield KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)


@contextmanager
def read_store(invocation: Invocation) -> Iterator[KeyStore | None]:
    """Open the configured key store for reading: nothing is created or written. None: there is no database yet.

    Raises CommandError for any error of the store.
    """
    import secrets

    from swim_server.concurrency.clock import SYSTEM_CLOCK
    from swim_server.keys.store import KeyStore

    with read_database_of(invocation) as database:
        yield None if database is None else KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)


@contextmanager
def open_database_of(invocation: Invocation) -> Iterator[Database]:
    """Open the configured key database for one command. Raises CommandError for whatever goes wrong with it."""
    invocation.load_config()  # a configuration that can't be read is told before a folder is made
    if not invocation.home.path.is_dir():
        invocation.home.prepare()
    with _told_to_people(), closing(_connect(invocation)) as database:
        yield database


@contextmanager
def read_database_of(invocation: Invocation) -> Iterator[Database | None]:
    """Open the configured key database for reading; None: there is none yet. Raises CommandError."""
    from swim_server.sql.errors import DatabaseAbsent

    with _told_to_people():
        try:
            database = _connect(invocation, is_read_only=True)
        except DatabaseAbsent:
            yield None
            return
        with closing(database):
            yield database


def _connect(invocation: Invocation, *, is_read_only: bool = False) -> Database:
    from swim_server.keys.opening import open_database
    from swim_server.sql.errors import StoreUnavailable

    messages = invocation.messages()

    def tell(error: StoreUnavailable, seconds: float) -> None:
        messages.line(f"{error}; trying again in {seconds:.0f} s")

    return open_database(
        invocation.load_config().config.database,
        invocation.home.database,
        patience_seconds=PATIENCE_SECONDS,
        on_repeat=tell,
        is_read_only=is_read_only,
    )


@contextmanager
def _told_to_people() -> Iterator[None]:
    """Raise errors of the key store as CommandError."""
    from swim_server.sql.errors import StoreError

    try:
        yield
    except StoreError as error:
        raise explain(error) from error


def explain(error: Exception) -> CommandError:
    """Explain an error of the key store to the user."""
    from swim_server.keys.errors import InvalidKeyField, KeyNotFound, KeyUnusable
    from swim_server.sql.errors import StoreMisconfigured

    if isinstance(error, KeyNotFound):
        return NotFound(f"no key has the id {error.key_id}", "see: swimctl keys list")
    if isinstance(error, InvalidKeyField):
        return WrongUsage(str(error))
    if isinstance(error, KeyUnusable):
        problem = f"key {error.key_id} is {error.state} and can't be {error.wish}"
        return CommandFailed(problem, "make a new one with: swimctl keys create")
    if isinstance(error, StoreMisconfigured):
        return CommandFailed(error.problem, error.remedy or None)
    return CommandFailed(str(error))


def warn_if_unaudited(invocation: Invocation, store: KeyStore) -> None:
    """Warn if a change was not recorded in the audit trail."""
    if not store.is_audited:
        messages = invocation.messages()
        refusal = store.tables.schema().audit_refusal
        why = "its table swim_audit_log is missing or differs" if refusal is None else refusal
        messages.line(f"warning: this change is not in the audit trail: {why}")
        if refusal is None:
            messages.line("add it with: swimctl db upgrade")


class _OtherDatabase(CommandFailed):
    """The daemon does not see a change, because it reads another database."""


class _NodesSilent(CommandFailed):
    """A change reached this daemon, but perhaps not every other node."""


def announce_changes(
    invocation: Invocation, key_ids: Sequence[int], *, since: float | None = None, expected: str | None = None
) -> int | None:
    """Notify a running daemon of changed keys; return how many connections it closed. None: no daemon is running.

    ``since``: ``time.monotonic`` just before the change; connections that the daemon closed by itself after that count
    too.

    Raises CommandFailed if a daemon is running but can't be notified: the change is stored, and the daemon notices it
    within ``auth.recheck_seconds``. Also if the daemon's database has a key in a state other than ``expected``: it
    reads another database.
    """
    if not invocation.home.lockfile.exists():
        return None
    try:
        with invocation.connect(light=True) as daemon:
            return _announce(daemon, key_ids, since, expected)
    except (_OtherDatabase, _NodesSilent):
        raise
    except DaemonNotRunning:
        return None
    except (CommandError, OSError) as error:
        problem = error.problem if isinstance(error, CommandError) else str(error)
        raise CommandFailed(
            f"the change is stored, but the daemon could not be notified: {problem}",
            "it notices by itself within auth.recheck_seconds; see: swimctl status",
        ) from error


def _announce(daemon: ControlClient, key_ids: Sequence[int], since: float | None, expected: str | None) -> int:
    """Notify the daemon of each key; return how many connections it closed. Raises _OtherDatabase, _NodesSilent."""
    from swim_server.daemon.control.documents.process import KeyChanged

    closed = 0
    silent: set[str] = set()
    for key_id in key_ids:
        seconds = 0.0 if since is None else time.monotonic() - since
        answer = daemon.ask("key_changed", KeyChanged, {"key_id": key_id, "seconds": seconds})
        closed += answer.closed
        silent.update(answer.silent_nodes)
        if expected is not None and answer.state not in (None, expected):
            raise _OtherDatabase(
                f"key {key_id} is {expected} here, and {answer.state} in the database that the daemon reads: "
                "it may still be accepted",
                "find out why: swimctl doctor --only database",
            )
    if silent:
        are_workers = all(name.startswith("worker ") for name in silent)
        who, command = ("worker process", "swimctl status") if are_workers else ("node", "swimctl nodes")
        raise _NodesSilent(
            f"the change is stored and {closed} connections are closed, but not every {who} has said that it knows: "
            f"{', '.join(sorted(silent))}",
            f"they find out by themselves within auth.recheck_seconds; see: {command}",
        )
    return closed


def end_in_memory(
    invocation: Invocation,
    key_id: int,
    error: StoreError,
    actor: Actor,
    *,
    is_for_good: bool = False,
    reason: str | None = None,
) -> CommandError:
    """Make the running daemon refuse a key whose end can't be stored at the moment; return what to report."""
    import msgspec
    from swim_server.keys.write_behind.endings import Ending

    ending = Ending(key_id=key_id, is_for_good=is_for_good, at=utc_now(), actor=actor, reason=reason)
    try:
        with invocation.connect(light=True) as daemon:
            answer = daemon.call("key_end", msgspec.to_builtins(ending))
    except (CommandError, OSError):
        return CommandFailed(
            f"the key is STILL VALID: {error}", "no daemon could be notified; run it again, or stop the service"
        )
    if answer["is_stored"]:
        return CommandFailed("stored by the daemon, not by this command", "see: swimctl keys show")
    closed = answer["closed"]
    return CommandFailed(
        f"in effect now ({closed} connections closed), not stored: {error}",
        "the daemon keeps trying; if it restarts before that succeeds, run the command again",
    )


def list_by_daemon(invocation: Invocation) -> ListedKeys | None:
    """Ask the running daemon for all keys, as it has the database open. None: read them here, for whatever reason."""
    if not invocation.home.lockfile.exists():
        return None
    from swim_server.config.database_identity import database_identity
    from swim_server.daemon.control.documents.keys import ListedKeys

    database = invocation.load_config().config.database
    try:
        with invocation.connect(light=True) as daemon:
            params = {"database": database_identity(database, invocation.home.database)}
            found = daemon.ask("keys", ListedKeys, params)
    except (CommandError, OSError):  # no daemon, an older one, or an unavailable database
        return None
    return found if found.is_same_database else None


def live_connections(invocation: Invocation) -> dict[int, int] | None:
    """Count the live connections of each key. None: no daemon is running, or it can't be asked."""
    answer = _ask_daemon(invocation, "live_keys", {})
    return None if answer is None else {int(key_id): int(count) for key_id, count in answer.items()}


def connections_of(invocation: Invocation, key_id: int) -> list[dict[str, Any]] | None:
    """List the live connections of one key. None: no daemon is running, or it can't be asked."""
    answer = _ask_daemon(invocation, "connections", {"key_id": key_id})
    return None if answer is None else list(answer["connections"])


def key_document(record: KeyRecord, now: datetime, live: int | None) -> dict[str, Any]:
    """Return what is known of a key as a document, without the key itself."""
    from swim_server.keys.permissions import state_of

    return {
        "id": record.id,
        "hint": record.hint,
        "tier": record.unknown_tier or record.tier.value,
        "owner_name": record.owner_name,
        "state": state_of(record, now).value,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "last_used_at": record.last_used_at,
        "live_connections": live,
        "owner_email": record.owner_email,
        "description": record.description,
        "is_active": record.is_active,
        "ip_whitelist": record.ip_whitelist,
        "source_id": record.source_id,
        "can_write": record.can_write,
        "allowed_sources": record.allowed_sources,
        "owner_cid": record.owner_cid,
        "stored": "plain" if record.is_plaintext else "hashed",
    }


def _ask_daemon(invocation: Invocation, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if not invocation.home.lockfile.exists():
        return None
    try:
        with invocation.connect(light=True) as daemon:
            answer: dict[str, Any] = daemon.call(method, params)
            return answer
    except DaemonNotRunning:
        return None
    except (CommandError, OSError) as error:
        problem = error.problem if isinstance(error, CommandError) else str(error)
        invocation.messages().line(f"warning: live connections are not known: {problem}")
        return None
