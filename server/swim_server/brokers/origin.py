"""Whether history, its mark and the home belong together, and which events may be missing if they don't. Pure."""

from __future__ import annotations

import msgspec

from swim_server.brokers.history_mark import Mark, Owner
from swim_server.brokers.witness import Witness
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO, EventId

BEGUN = "begun"
"""Reason of the gap before the beginning of a history: ids from before it belong to another history."""
OTHER_INSTALLATION = "another installation"
RESTORED = "restored"
POWER_CUT = "power cut"


class Identity(msgspec.Struct, frozen=True):
    """An installation and an order of events: ids of different epochs can't be compared."""

    installation: str
    epoch: str


class Found(msgspec.Struct, frozen=True):
    """What was found when history was opened."""

    mark: Mark | None
    owner: Owner | None
    witness: Witness | None
    history: Identity | None
    """What is recorded in history; None: it is new, or of an earlier version."""
    is_new: bool
    is_mark_doubtful: bool = False
    """There is a mark, but nothing of it is intact."""
    home: str | None = None
    """The installation recorded in the home itself."""

    @property
    def installations(self) -> list[str]:
        """Return the installations that are recorded, the one most likely to be the home's own first."""
        found = [each.installation for each in (self.witness, self.owner, self.history) if each is not None]
        return found if self.home is None else [self.home, *found]

    @property
    def identities(self) -> list[Identity]:
        """Return the identities of those that record one."""
        found = [self.history, self.owner, self.witness]
        return [Identity(each.installation, each.epoch) for each in found if each is not None]


class Hole(msgspec.Struct, frozen=True):
    """Events with ``after < id <= up_to`` may be missing."""

    after: EventId
    up_to: EventId
    reason: str


def find_hole(found: Found, *, stored: EventId, known: EventId, now: EventId, boot_id: str, loss: str) -> Hole | None:
    """Return which events may be missing after ``stored``, the newest in the file; None if none can be.

    ``known``: the newest that this process knows. ``loss``: why a new file is new, if events were known.
    """
    mark, witness = found.mark, found.witness
    known = max(known, mark.newest if mark else ZERO, EventId.parse(witness.newest_id) if witness else ZERO)
    latest = max(known, stored, now, EventId(min(stored.milliseconds + 1000, MAX_MILLISECONDS), 0))
    if len(set(found.installations)) > 1:
        return Hole(ZERO, latest, OTHER_INSTALLATION)
    may_be_cut = _may_be_cut(found, boot_id)
    if len({each.epoch for each in found.identities}) > 1:
        return Hole(stored, latest, RESTORED)
    if known > stored:
        reason = loss if found.is_new else POWER_CUT if may_be_cut else RESTORED
        return Hole(stored, latest if may_be_cut else known, reason)
    if found.is_new:
        return Hole(stored, max(now, known), BEGUN)
    return Hole(stored, latest, POWER_CUT) if may_be_cut else None


def identity_of(found: Found, hole: Hole | None, draw: Identity) -> Identity:
    """Return the identity from now on: the home's, with a new epoch if the order was broken."""
    epochs = [each.epoch for each in (found.witness, found.owner, found.history) if each is not None]
    is_broken = hole is not None and hole.reason in {OTHER_INSTALLATION, RESTORED, BEGUN}
    installation = found.installations[0] if found.installations else draw.installation
    return Identity(installation, draw.epoch if is_broken or not epochs else epochs[0])


def _may_be_cut(found: Found, boot_id: str) -> bool:
    """Tell whether the machine may have gone down while commits waited for the disk, as far as can be known."""
    mark, witness, mode = found.mark, found.witness, found.owner.mode if found.owner else "normal"
    if mark is not None:
        return _is_other_boot(mark.boot_id, boot_id) and not mark.is_clean and mode != "full"
    if witness is not None:
        return _is_other_boot(witness.boot_id, boot_id) and not witness.is_closed and witness.mode != "full"
    return found.is_mark_doubtful


def _is_other_boot(one: str, other: str) -> bool:
    return one != other and bool(one and other)
