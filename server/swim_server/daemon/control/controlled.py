"""What the methods of the control socket need from the process that they control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.daemon.components import Components
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.daemon.handover.program import Program
    from swim_server.daemon.launch import Launch
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.daemon.running_config import RunningConfig
    from swim_server.keys.records import KeyRecord
    from swim_server.protocol.channels import Catalogue
    from swim_server.streaming.hub import Hub


class ControlledProcess(Protocol):
    """The service, as far as operators may see and control it."""

    components: Components
    info: LockInfo
    fingerprint: Fingerprint
    launch: Launch

    @property
    def is_handing_over(self) -> bool:
        """Whether this service's clients are in two processes at the moment."""

    def request_stop(self) -> None:
        """Begin the graceful stop."""

    async def restart(self, wanted: Program | None = None) -> LockInfo:
        """Let the code on disk, or ``wanted``, take over. Raises HandoverFailed."""

    async def list_keys(self) -> list[KeyRecord]:
        """Read all keys as they are now. Raises StoreError."""

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Read a key again that was changed ``seconds`` ago; return how many connections were closed for it."""


class ExplainedParts(Protocol):
    """The parts of a process that serves clients."""

    @property
    def config(self) -> RunningConfig:
        """The settings in force."""

    @property
    def catalogue(self) -> Catalogue:
        """All channels."""

    @property
    def hub(self) -> Hub:
        """Knows its connections."""

    @property
    def broker(self) -> Broker:
        """Where events are read."""
