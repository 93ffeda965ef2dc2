"""What can go wrong with the server, by who can do something about it."""

from __future__ import annotations

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.errors import OperatorError


class ServerTrouble(BrokerUnavailable):
    """The server does not answer properly at the moment: it may recover by itself."""


class ServerLoading(ServerTrouble):
    """The server reads its data from the disk: nothing can be read or stored until it has."""


class OutcomeUnknown(ServerTrouble):
    """The connection broke while a command was under way: it may have been executed."""


class ServerRefused(BrokerUnavailable, OperatorError):
    """The server can't serve this installation until an operator changes something."""

    def __str__(self) -> str:
        return self.reason


class EpochChanged(BrokerUnavailable):
    """A new order of ids has begun on the server: this node has to read its state first."""


class Fenced(BrokerUnavailable):
    """Another node runs the source by now: this node's events are refused."""
