"""What can go wrong with the server, by who can do something about it."""

from __future__ import annotations

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.errors import OperatorError


class ServerTrouble(BrokerUnavailable):
    """The server does not answer as it should just now: it may pass by itself."""


class OutcomeUnknown(ServerTrouble):
    """The connection broke while a command was under way: it may have been done."""


class ServerRefused(BrokerUnavailable, OperatorError):
    """The server can't serve this installation until somebody changes something."""

    def __str__(self) -> str:
        return self.reason


class EpochChanged(BrokerUnavailable):
    """Another order of ids has begun on the server: this node has to look at it first."""


class Fenced(BrokerUnavailable):
    """Another node runs the source by now: what this one would publish is refused."""
