"""The proven fixes: a test pastes each one on a real daemon with that fault, and it fixes everything.

Any other fix that a check offers becomes advice for a person to decide on. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from swimctl.doctor.check import Advice, AdviceKind, Answer, decide

UNPROVEN = "not proven to fix this: look first, then decide"
_START = r"swimctl serve( \S+| '[^']*')* --detach"
_RESTART = "swimctl restart"
_ENDS = re.compile(
    r"(?:^|[;&|] ?|sudo )(?:kill|pkill|killall|rm|truncate|umount|dd|systemctl (?:stop|restart|start)|git .*checkout"
    r"|swimctl (?:stop|restart|serve|service|keys (?:revoke|delete)|history salvage|db upgrade))\b"
)

PROVEN: Mapping[str, str] = {
    "config.permissions": r"chmod u=rw,g-w,o= .+",
    "config.running": r"swimctl (reload|restart)",
    "config.valid": r"sed -i '\d+s/[\w-]+/[\w.-]+/' \S+",
    "tiers.in-force": "swimctl reload",
    "process.lock": _START,
    "process.running": _START,
    "process.answers": r"kill -CONT \d+",
    "process.descriptors": r"prlimit --pid \d+ --nofile=\d+:\d+.*",
    "code.process-is-disk": _RESTART,
    "code.same-copy": _RESTART,
    "code.dependencies": _RESTART,
    "database.schema": "swimctl db upgrade",
    "host.log": r"kill -USR2 \d+",
    "host.folders": r"mkdir -p -m 700 .+",
    "host.ownership": r"chown -R \S+: \S+",
}
"""By check: the only fixes that it may offer for pasting."""


def only_proven(id: str, answer: Answer) -> Answer:
    """Keep a fix that is proven for this check; turn any other into advice, after the commands that only look."""
    advice = tuple(map(_careful, answer.advice))
    if answer.fix is None or (id in PROVEN and re.fullmatch(PROVEN[id], answer.fix)):
        return msgspec.structs.replace(answer, advice=advice)
    return msgspec.structs.replace(answer, fix=None, advice=(*advice, decide(answer.fix, UNPROVEN)))


def _careful(advice: Advice) -> Advice:
    """Turn advice that ends, removes or starts something into a decision, with a warning."""
    if _ENDS.search(advice.command) is None or (advice.kind is not AdviceKind.INSPECT and advice.requires):
        return advice
    return decide(advice.command, advice.requires or UNPROVEN)
