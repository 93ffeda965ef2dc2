"""The methods behind the operator's page: the current state and the last hour, keys, log lines, doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.concurrency.clock import SYSTEM_CLOCK, utc_now
from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.diagnostics import SourcePace
from swim_server.daemon.control.documents.process import ConfigChanges
from swim_server.daemon.control.documents.status import Status
from swim_server.daemon.control.promises import pace_seconds
from swim_server.daemon.control.status import build_status
from swim_server.daemon.desk.doctor_runs import DoctorReport, DoctorRuns
from swim_server.daemon.desk.restart_advice import RestartAdvice, RestartFacts, advise
from swim_server.daemon.desk.trends import Sample, Trends
from swim_server.gateway.rpc import UNAVAILABLE, Rpc, RpcError
from swim_server.keys.permissions import KeyState, state_of
from swim_server.sql.errors import StoreError
from swim_server.streaming.connection import LOCAL_TIER

if TYPE_CHECKING:
    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.keys.records import KeyRecord

KEY_ROWS = 20
LOG_LINES = 200
KEYS_KEPT_SECONDS = 15.0
FACTS_KEPT_SECONDS = 10.0
"""How old the advice about a restart may be: it looks at every connection and at the configuration's files."""


class Overview(msgspec.Struct, kw_only=True):
    """The current state, and the last hour."""

    status: Status
    restart: RestartAdvice
    doctor: DoctorReport
    trends: list[Sample]
    paces: list[SourcePace]
    """How often each source should deliver something."""
    errors: dict[str, int] = {}
    """Error messages sent to clients since the start, by code."""
    now: int


class KeyRow(msgspec.Struct, kw_only=True):
    """One key, without the key itself."""

    id: int
    hint: str
    tier: str
    owner: str
    state: str
    expires_at: datetime | None
    last_used_at: datetime | None
    connections: int


class KeyPage(msgspec.Struct, kw_only=True):
    """A page of the keys."""

    total: int
    pages: int
    page: int
    expiring: int
    """How many of all keys expire soon."""
    rows: list[KeyRow]


class LogLines(msgspec.Struct, kw_only=True):
    """The log lines after a given number."""

    last: int
    lines: list[str]


class DashboardToken(msgspec.Struct, kw_only=True):
    """A token that opens the operator's page once, within a minute."""

    token: str
    seconds: int = 60


class Desk:
    """Each method has the name by which it is called, and takes its params as a mapping."""

    def __init__(self, process: ControlledProcess, rpc: Rpc, trends: Trends) -> None:
        self._process = process
        self._parts = process.components
        self._rpc = rpc
        self._trends = trends
        self._doctor = DoctorRuns(self._parts.home.path, self._parts.config.files, clock=SYSTEM_CLOCK)
        self._keys: tuple[float, list[KeyRecord]] | None = None
        self._advised: tuple[float, RestartAdvice] | None = None

    def register(self) -> None:
        """Register the methods."""
        for name in ("desk_overview", "desk_keys", "desk_log", "desk_doctor", "dashboard_token"):
            self._rpc.methods[name] = getattr(self, name)

    async def dashboard_token(self, _: Mapping[str, object]) -> DashboardToken:
        """Issue a token that opens the operator's page once; only the operator has access to this method."""
        return DashboardToken(token=self._parts.sessions.issue())

    async def desk_overview(self, _: Mapping[str, object]) -> Overview:
        """Describe the current state and the last hour."""
        config = self._parts.config.values
        pairs = zip(config.sources, self._parts.sources.statuses(), strict=False)
        return Overview(
            status=await build_status(self._process),
            restart=await self._advice(),
            doctor=self._doctor.last,
            trends=list(self._trends.samples),
            paces=[SourcePace(name=status.name, pace_seconds=pace_seconds(source)) for source, status in pairs],
            errors=self._errors(),
            now=SYSTEM_CLOCK.now_ms() // 1000,
        )

    def _errors(self) -> dict[str, int]:
        own = Counter({str(code): count for code, count in self._parts.conversation.errors.items()})
        workers = self._parts.workers
        return dict(own if workers is None else own + Counter(workers.counted().errors))

    async def _advice(self) -> RestartAdvice:
        now = SYSTEM_CLOCK.monotonic()
        if self._advised is None or now - self._advised[0] >= FACTS_KEPT_SECONDS:
            self._advised = (now, advise(await self._facts()))
        return self._advised[1]

    async def _facts(self) -> RestartFacts:
        parts = self._parts
        changes = await self._rpc.methods["config_changes"]({})
        assert isinstance(changes, ConfigChanges), "the method answers its document"
        facts = RestartFacts(
            refusal=self._process.launch.refusal(),
            is_handing_over=self._process.is_handing_over,
            config_problem=changes.problem,
            config_changes=[*changes.reload, *changes.restart],
            is_state_loaded=parts.hub.state.is_ready,
            keys_not_stored=parts.authenticator.status().not_stored,
        )
        try:
            facts.history_trouble = (await parts.broker.state()).writing_problem
        except BrokerUnavailable as error:
            facts.history_trouble = error.reason
        async for connection in yielding(list(parts.hub.connections.values())):
            if connection.tier == LOCAL_TIER:
                continue
            facts.connections += 1
            facts.catching_up += connection.catch_up is not None
            facts.lagging += connection.is_lagging
            facts.not_resuming += not (connection.wants_notices or connection.resumed_after is not None)
        if self._parts.workers is not None:
            await self._parts.workers.look()
            for report in (worker.report for worker in self._parts.workers.running.values()):
                facts.connections += report.clients
                facts.catching_up += report.catching_up
                facts.lagging += report.lagging
                facts.not_resuming += report.not_resuming
        return facts

    async def desk_keys(self, params: Mapping[str, object]) -> KeyPage:
        """List keys: ``state``, ``search``, ``sort`` and ``order``, ``page``."""
        records, now, live = await self._read_keys(), utc_now(SYSTEM_CLOCK), self._parts.admission.by_key()
        state, words = str(params.get("state", "")), str(params.get("search", "")).lower().split()
        rows = [
            KeyRow(
                id=each.id, hint=each.hint, tier=str(each.tier), owner=each.owner_name,
                state=state_of(each, now).value, expires_at=each.expires_at, last_used_at=each.last_used_at,
                connections=live.get(each.id, 0),
            )
            for each in records
        ]  # fmt: skip
        expiring = sum(row.state == KeyState.EXPIRING for row in rows)
        found = [row for row in rows if state in ("", row.state) and _has(row, words)]
        found.sort(key=lambda row: _order(row, str(params.get("sort", ""))), reverse=params.get("order") == "down")
        pages = max(1, -(-len(found) // KEY_ROWS))
        text = str(params.get("page", "1"))
        page = min(max(int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 1, 1), pages)
        chosen = found[(page - 1) * KEY_ROWS : page * KEY_ROWS]
        return KeyPage(total=len(found), pages=pages, page=page, expiring=expiring, rows=chosen)

    async def _read_keys(self) -> list[KeyRecord]:
        """Read all keys, at most once every few seconds."""
        now = SYSTEM_CLOCK.monotonic()
        if self._keys is None or now - self._keys[0] > KEYS_KEPT_SECONDS:
            try:
                self._keys = (now, await self._process.list_keys())
            except StoreError as error:
                raise RpcError(UNAVAILABLE, str(error)) from None
        return self._keys[1]

    async def desk_log(self, params: Mapping[str, object]) -> LogLines:
        """Return the lines of the log after line ``after``, at most the newest few."""
        stream = self._parts.log_stream
        if stream is None:
            return LogLines(last=0, lines=[])
        text = str(params.get("after", "0"))
        after = int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
        recent = list(stream.recent)
        new = min(max(stream.written - after, 0), LOG_LINES) if after <= stream.written else LOG_LINES
        return LogLines(last=stream.written, lines=recent[-new:] if new else [])

    async def desk_doctor(self, _: Mapping[str, object]) -> DoctorReport:
        """Run doctor, and answer with its report."""
        return await self._doctor.run()


def _has(row: KeyRow, words: list[str]) -> bool:
    text = f"{row.id} {row.hint} {row.tier} {row.owner}".lower()
    return all(word in text for word in words)


def _order(row: KeyRow, sort: str) -> tuple[Any, ...]:
    match sort:
        case "owner":
            return (row.owner.lower(), row.id)
        case "tier":
            return (row.tier, row.id)
        case "connections":
            return (row.connections, row.id)
        case "id":
            return (row.id,)
    is_over = row.state in (KeyState.EXPIRED, KeyState.REVOKED)
    return (is_over, row.expires_at is None, row.expires_at.timestamp() if row.expires_at is not None else 0.0, row.id)
