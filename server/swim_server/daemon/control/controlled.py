"""What the methods of the control socket need of the process that they speak for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.daemon.components import Components
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.daemon.handover.program import Program
    from swim_server.daemon.launch import Launch
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.keys.records import KeyRecord


class ControlledProcess(Protocol):
    """The service, as far as operators may see and steer it."""

    components: Components
    info: LockInfo
    fingerprint: Fingerprint
    launch: Launch

    @property
    def is_handing_over(self) -> bool:
        """Tell whether two processes have this service's clients at the moment."""

    def request_stop(self) -> None:
        """Begin the graceful stop."""

    async def restart(self, wanted: Program | None = None) -> LockInfo:
        """Let the code on disk, or the program that is wanted, take over. Raises HandoverFailed."""

    async def list_keys(self) -> list[KeyRecord]:
        """Read all keys as they are now. Raises StoreError."""

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Read a key again that was changed so many seconds ago; return how many connections that has closed."""
