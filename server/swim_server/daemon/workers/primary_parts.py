"""What the primary's side of its workers works with. Built by ``choice``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.daemon.home import Home
    from swim_server.daemon.log_stream import LogStream
    from swim_server.daemon.running_config import RunningConfig
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.keys.authenticator import Authenticator
    from swim_server.logs import Logger
    from swim_server.streaming.admission import Admission


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryParts:
    """Parts of the primary process."""

    config: RunningConfig
    home: Home
    tasks: Tasks
    authenticator: Authenticator
    admission: Admission
    source_ages: Callable[[], Mapping[str, float | None]]
    endpoints: EndpointContext
    public: Callable[[], Endpoint]
    """Creates the endpoint of a connection that this process serves itself."""
    tls: TlsCertificate | None
    clock: Clock
    log: Logger
    log_stream: LogStream | None
    on_failure: Callable[[BaseException], None]
