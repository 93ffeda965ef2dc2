"""What doctor may ask the running service over the control socket: temporary keys, probe events, counts.

Nothing here changes what clients get. A temporary key exists only in this process's memory; a probe event is stored and
delivered like any other, to the one connection of a temporary key that requested it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.daemon.control.documents.diagnostics import (
    ProbeAnnounced,
    ProbeConnection,
    ProbeKey,
    ProbeKeys,
    ProbeKeysEnded,
    ProbeRow,
    ProbeStored,
    Promises,
    StateSample,
    Tally,
)
from swim_server.daemon.control.probe_clients import Listening, end_probes, let_receive_probes, locate
from swim_server.daemon.control.promises import build_promises
from swim_server.daemon.control.state_sample import build_state_sample
from swim_server.daemon.control.tally import MAX_LISTED, build_tally
from swim_server.daemon.database_name import describe_database
from swim_server.daemon.workers.adding import add_tally
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.keys.format import Tier
from swim_server.keys.probes import MAX_SECONDS, is_probe_id
from swim_server.protocol.channels import PROBE
from swim_server.protocol.events import NewEvent
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.control.controlled import ControlledProcess

MAX_TOKEN_CHARACTERS = 100


class Diagnostics:
    """Each method has the name by which it is called, and takes its params as a mapping."""

    def __init__(self, process: ControlledProcess) -> None:
        self._process = process
        self._parts = process.components

    def register(self, rpc: Rpc) -> None:
        """Register the methods."""
        for name in (
            "probe_keys", "probe_keys_end", "probe_refusal", "probe_event", "probe_row", "probe_connection", "tally",
            "promises", "state_sample",
        ):  # fmt: skip
            rpc.methods[name] = getattr(self, name)

    # Keys.

    async def probe_keys(self, params: Mapping[str, object]) -> ProbeKeys:
        """Create temporary keys of a tier; they expire after ``seconds``."""
        count, seconds = params.get("count", 1), params.get("seconds", 10)
        if type(count) is not int or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
            raise RpcError(INVALID_PARAMS, f"count must be a whole number, seconds at most {MAX_SECONDS:g}")
        try:
            made = self._parts.authenticator.probes.make(Tier(str(params.get("tier"))), count, seconds)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return ProbeKeys(keys=[ProbeKey(id=key_id, api_key=api_key) for key_id, api_key in made])

    async def probe_keys_end(self, params: Mapping[str, object]) -> ProbeKeysEnded:
        """Revoke temporary keys, and close the connections that they opened."""
        ids = params.get("ids")
        if not isinstance(ids, list) or not all(isinstance(key_id, int) and is_probe_id(key_id) for key_id in ids):
            raise RpcError(INVALID_PARAMS, "ids must be those of temporary keys")
        self._parts.authenticator.probes.end(set(ids))
        ended = await end_probes(self._parts.gateway, set(ids))
        if self._parts.workers is not None:
            others, _ = await self._parts.workers.ask("probe_keys_end", {"ids": ids}, ProbeKeysEnded)
            ended.closed += sum(each.closed for each in others)
        return ended

    async def probe_refusal(self, params: Mapping[str, object]) -> ProbeAnnounced:
        """Announce a bad key by its SHA-256: its refusal counts against no address."""
        try:
            digest = bytes.fromhex(str(params.get("digest")))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise RpcError(INVALID_PARAMS, "digest must be a SHA-256 in hexadecimal")
        self._parts.authenticator.probes.announce(digest, 30)
        return ProbeAnnounced()

    async def probe_row(self, params: Mapping[str, object]) -> ProbeRow:
        """Return what this process's database has in a key's row, and which database that is."""
        key_id = params.get("key_id")
        if type(key_id) is not int:
            raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
        try:
            found = (await self._parts.authenticator.look_up([key_id])).get(key_id)
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return ProbeRow(
            database=describe_database(self._parts.config.values.database, str(self._parts.home.database)),
            found=found is not None,
            description=found.description if found is not None else None,
        )

    # Events.

    async def probe_connection(self, params: Mapping[str, object]) -> ProbeConnection:
        """Tell whether a client is connected to this process, and from where."""
        found = [locate(self._parts.hub, params.get("id"))]
        if self._parts.workers is not None:
            found += (await self._parts.workers.ask("probe_connection", params, ProbeConnection))[0]
        return next((each for each in found if each.found), found[0])

    async def probe_event(self, params: Mapping[str, object]) -> ProbeStored:
        """Publish a ``system.notice`` that only the named connection, one of a temporary key, receives, or nobody."""
        token, connection_id = params.get("token"), params.get("connection")
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise RpcError(INVALID_PARAMS, f"token must be a string of 1 to {MAX_TOKEN_CHARACTERS} characters")
        if connection_id is not None:
            await self._let_receive_probes(connection_id)
        data = {"probe": token, "text": "swimctl doctor looks whether events come out"}
        try:
            (published,) = await self._parts.broker.publish([NewEvent(type=PROBE, data=data)])
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return ProbeStored(id=published.id, now_ms=time.time_ns() // 1_000_000)

    async def _let_receive_probes(self, connection_id: object) -> None:
        """Send probe events to a connection of a temporary key, in whichever process it is. Raises RpcError."""
        try:
            let_receive_probes(self._parts.hub, connection_id)
        except RpcError:
            workers = self._parts.workers
            if workers is None or not (await workers.ask("probe_listen", {"connection": connection_id}, Listening))[0]:
                raise

    # What is promised, and what exists.

    async def promises(self, params: Mapping[str, object]) -> Promises:
        """Return what this process commits itself to: limits of the tiers, retention, the pace of each source."""
        return await build_promises(self._parts)

    async def state_sample(self, params: Mapping[str, object]) -> StateSample:
        """Return some entries of the state and everything that history says of each, for the caller to fold."""
        try:
            return await build_state_sample(self._parts)
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None

    async def tally(self, params: Mapping[str, object]) -> Tally:
        """Count the connections; ``brief``: only the numbers."""
        is_brief = params.get("brief") is True
        found = await build_tally(self._parts, is_handing_over=self._process.is_handing_over, is_brief=is_brief)
        if self._parts.workers is not None:
            found = add_tally(found, (await self._parts.workers.ask("tally", params, Tally))[0], most=MAX_LISTED)
        return found
