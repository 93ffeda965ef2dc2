"""The errors that a question between processes may be answered with."""

from __future__ import annotations

from typing import Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.gateway.rpc import INTERNAL_ERROR, RpcError
from swim_server.sql.errors import StoreError, StoreUnavailable

BROKER, EVENT, STORE, RPC, OTHER = "broker", "event", "store", "rpc", "other"


class Failure(msgspec.Struct):
    """An error of the other process."""

    kind: str
    text: str
    number: int = 0
    """The index of an event, or the code of an RPC error."""
    data: Any = None

    @property
    def is_unexpected(self) -> bool:
        """Tell whether it is a bug, which the process that raised it logs."""
        return self.kind == OTHER

    def to_exception(self) -> Exception:
        """Return the error to raise here."""
        if self.kind == BROKER:
            return BrokerUnavailable(self.text)
        if self.kind == EVENT:
            return InvalidEvent(self.number, self.text)
        if self.kind == STORE:
            return StoreUnavailable(self.text)
        return RpcError(self.number or INTERNAL_ERROR, self.text, self.data)


def describe_failure(error: Exception) -> Failure:
    """Describe an error for the other process."""
    if isinstance(error, BrokerUnavailable):
        return Failure(BROKER, error.reason)
    if isinstance(error, InvalidEvent):
        return Failure(EVENT, error.reason, error.index)
    if isinstance(error, StoreError):
        return Failure(STORE, error.reason if isinstance(error, StoreUnavailable) else str(error))
    if isinstance(error, RpcError):
        return Failure(RPC, error.message, error.code, error.data)
    return Failure(OTHER, f"internal error: {type(error).__name__}")
