"""Explains with what every process remembers, and with what the key database knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained
from swim_server.daemon.control.explain import MAX_SUBSCRIPTIONS, Explainer
from swim_server.daemon.workers.adding import all_subscriptions, best_event
from swim_server.gateway.rpc import RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swim_server.daemon.components import Components
    from swim_server.keys.audit import AuditEntry
    from swim_server.keys.records import KeyRecord

READ_SECONDS = 60.0
"""How long a worker may read history for an answer."""


class ServiceExplainer(Explainer):
    """Answers for the whole service."""

    def __init__(self, components: Components) -> None:
        super().__init__(components)
        self._components = components

    async def _look_up(self, key_id: int) -> tuple[KeyRecord | None, Sequence[AuditEntry]]:
        store = self._components.store
        return await self._components.authenticator.consult(
            lambda: (store.records([key_id]).get(key_id), store.audit(key_id))
        )

    async def explain(self, params: Mapping[str, object]) -> EventExplained | ChannelExplained:
        """Answer as one process does; the connections that workers remember count too."""
        workers = self._components.workers
        if workers is None or (params.get("key_id") is None and params.get("connection") is None):
            return await super().explain(params)
        own: EventExplained | ChannelExplained | None = None
        refusal: RpcError | None = None
        try:
            own = await super().explain(params)
        except RpcError as error:
            refusal = error
        found: EventExplained | ChannelExplained | None
        if _is_event(params):
            events, _ = await workers.ask("explain", params, EventExplained, seconds=READ_SECONDS)
            if own is None:  # only a worker that remembers the consumer knows better
                events = [each for each in events if each.connections_remembered]
            found = best_event([own, *events] if isinstance(own, EventExplained) else events)
        else:
            channels, _ = await workers.ask("explain", params, ChannelExplained, seconds=READ_SECONDS)
            if own is None:
                channels = [each for each in channels if each.subscriptions]
            known = [own, *channels] if isinstance(own, ChannelExplained) else channels
            found = all_subscriptions(known, most=MAX_SUBSCRIPTIONS)
        if found is None:
            assert refusal is not None, "else there is an answer"
            raise refusal
        self._count_live(found, params)
        return found

    def _count_live(self, found: EventExplained | ChannelExplained, params: Mapping[str, object]) -> None:
        """Count the key's connections in all processes."""
        key_id = params.get("key_id")
        if found.key is not None and isinstance(key_id, int):
            found.key.connected_now = self._components.admission.by_key().get(key_id, 0)


def _is_event(params: Mapping[str, object]) -> bool:
    from swim_server.protocol.event_id import EventId, InvalidEventId

    try:
        EventId.parse(str(params.get("about")).strip())
    except InvalidEventId:
        return False
    return True
