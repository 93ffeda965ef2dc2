"""The keys of one installation on the server. One hash tag for all of them, so that a cluster keeps them together."""

from __future__ import annotations

import msgspec


class Names(msgspec.Struct, frozen=True):
    """All names of one installation."""

    prefix: str

    @property
    def state(self) -> str:
        """The hash with epoch, last id and what was trimmed."""
        return f"{{{self.prefix}}}:state"

    @property
    def events(self) -> str:
        """The stream of everything that is no position."""
        return f"{{{self.prefix}}}:events"

    @property
    def positions(self) -> str:
        """The stream of positions, which are kept for minutes."""
        return f"{{{self.prefix}}}:positions"

    @property
    def control(self) -> str:
        """The stream of what nodes tell each other."""
        return f"{{{self.prefix}}}:control"

    @property
    def losses(self) -> str:
        """The list of stretches that the server lost."""
        return f"{{{self.prefix}}}:losses"

    @property
    def nodes(self) -> str:
        """The hash with one entry for each node."""
        return f"{{{self.prefix}}}:nodes"

    @property
    def places(self) -> str:
        """The hash with each node's connections by tier and key."""
        return f"{{{self.prefix}}}:places"

    def event_id(self, digest: str) -> str:
        """Return where the producer's own name of an event stands for a day."""
        return f"{{{self.prefix}}}:event_id:{digest}"

    def commit(self, writer: str) -> str:
        """Return where the answer to a process's last commit stands, should the connection break before it is read."""
        return f"{{{self.prefix}}}:commit:{writer}"

    def source(self, name: str) -> str:
        """Return where the lease of a source stands."""
        return f"{{{self.prefix}}}:source:{name}"

    def source_state(self, name: str) -> str:
        """Return where the state of a source stands, for whichever node runs it next."""
        return f"{{{self.prefix}}}:source_state:{name}"

    def answers(self, message_id: str) -> str:
        """Return where nodes answer a message."""
        return f"{{{self.prefix}}}:answers:{message_id}"
