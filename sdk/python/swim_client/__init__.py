"""Listen to SWIM, the live flight and traffic management events of VATSIM.

from swim_client import SWIMClient

client = SWIMClient("your-key")

@client.on("flight.departed")
def on_departure(event, timestamp):
    print(event.callsign, event.dep, "->", event.arr)

client.subscribe(["flight.departed"], airports=["KJFK"])
client.run()

For synchronous code that loops over events, or does other work beside the stream: ``swim_client.sync``.
"""

from swim_client.client import ClientBase, SWIMClient
from swim_client.errors import (
    AuthenticationError,
    ClientStopped,
    ConnectionLost,
    NoAnswer,
    ProtocolError,
    RequestRefused,
    ResumeFileError,
    SwimError,
)
from swim_client.events import (
    ConnectionInfo,
    Disconnection,
    ErrorMessage,
    Event,
    EventType,
    FlightEvent,
    Gap,
    HeartbeatEvent,
    Position,
    PositionBatch,
    Reconnection,
    SplitsEvent,
    TMIEvent,
)
from swim_client.flights import FlightMirror
from swim_client.opening import DEFAULT_URL
from swim_client.rest import NotServed, SWIMRestClient
from swim_client.subscriptions import Answer, SubscriptionFilters
from swim_client.version import __version__

__all__ = [
    "DEFAULT_URL",
    "Answer",
    "AuthenticationError",
    "ClientBase",
    "ClientStopped",
    "ConnectionInfo",
    "ConnectionLost",
    "Disconnection",
    "ErrorMessage",
    "Event",
    "EventType",
    "FlightEvent",
    "FlightMirror",
    "Gap",
    "HeartbeatEvent",
    "NoAnswer",
    "NotServed",
    "Position",
    "PositionBatch",
    "ProtocolError",
    "Reconnection",
    "RequestRefused",
    "ResumeFileError",
    "SWIMClient",
    "SWIMRestClient",
    "SplitsEvent",
    "SubscriptionFilters",
    "SwimError",
    "TMIEvent",
    "__version__",
]
