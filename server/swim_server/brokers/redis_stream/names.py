"""The keys of one installation on the server, all with one hash tag, so that a cluster keeps them together."""

from __future__ import annotations

import msgspec


class Names(msgspec.Struct, frozen=True):
    """All keys of one installation."""

    prefix: str

    @property
    def state(self) -> str:
        """The hash with epoch, last id and what was trimmed."""
        return f"{{{self.prefix}}}:state"

    @property
    def events(self) -> str:
        """The stream of all events that are not positions."""
        return f"{{{self.prefix}}}:events"

    @property
    def positions(self) -> str:
        """The stream of positions, which are kept for minutes."""
        return f"{{{self.prefix}}}:positions"

    @property
    def control(self) -> str:
        """The stream of messages between nodes."""
        return f"{{{self.prefix}}}:control"

    @property
    def losses(self) -> str:
        """The list of ranges that the server lost."""
        return f"{{{self.prefix}}}:losses"

    @property
    def nodes(self) -> str:
        """The hash with one entry for each node."""
        return f"{{{self.prefix}}}:nodes"

    @property
    def places(self) -> str:
        """The hash with each node's connections by tier and key."""
        return f"{{{self.prefix}}}:places"

    @property
    def check(self) -> str:
        """The key on which is tried what the server's user may do; it exists for no longer than that."""
        return f"{{{self.prefix}}}:check"

    @property
    def beats(self) -> str:
        """The hash with the number of each node's last report, and which process sent it."""
        return f"{{{self.prefix}}}:beats"

    def event_id(self, digest: str) -> str:
        """Return the key under which a producer's event id is remembered for a day."""
        return f"{{{self.prefix}}}:event_id:{digest}"

    def commit(self, writer: str) -> str:
        """Return the key of the answer to a process's last commit, in case the connection breaks before it is read."""
        return f"{{{self.prefix}}}:commit:{writer}"

    def source(self, name: str) -> str:
        """Return the key of a source's lease."""
        return f"{{{self.prefix}}}:source:{name}"

    def source_state(self, name: str) -> str:
        """Return the key of a source's state, for whichever node runs it next."""
        return f"{{{self.prefix}}}:source_state:{name}"

    def answers(self, message_id: str) -> str:
        """Return the key under which nodes answer a message."""
        return f"{{{self.prefix}}}:answers:{message_id}"
