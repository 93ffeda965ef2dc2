"""Event types that providers write but the service does not know, and the line that declares them."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, ok, warn
from swimctl.doctor.probes.daemon_facts import expecting, status
from swimctl.text import clean

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

_KNOWN = "every type that providers write is known"
MANY_OF_A_KIND = 3
"""This many types that differ only in their last part are declared as one open-ended type."""


@expecting(_KNOWN)
async def types_are_known(context: DoctorContext) -> Answer:
    """Check that no source sets events aside because of an unknown type."""
    counts: Counter[str] = Counter()
    for source in (await status(context)).sources:
        counts.update(source.unknown_types)
    if not counts:
        return ok(_KNOWN, "nothing was set aside for its type")
    declared = (await context.loaded()).config.channels.families
    lines = families_with(declared, counts)
    seen = ", ".join(f"{number} of {clean(name)}" for name, number in counts.most_common(5))
    evidence = [f"[channels.families] {family} = {json.dumps(names)}" for family, names in lines.items()]
    if not lines:
        is_declared = all(_is_declared(declared, name) for name in counts)
        fix = "swimctl restart" if is_declared else "swimctl logs"
        return warn(_KNOWN, f"set aside: {seen}", fix=fix)
    commands = [
        f"swimctl config set channels.families.{family} {shlex.quote(json.dumps(names))}"
        for family, names in lines.items()
    ]
    return warn(_KNOWN, f"set aside: {seen}", *evidence, fix=" && ".join([*commands, "swimctl restart"]))


def families_with(declared: Mapping[str, Sequence[str]], unknown: Iterable[str]) -> dict[str, list[str]]:
    """Return the families to declare, each with its present declarations; types that can't be declared are omitted.

    An unknown type of a known family is declared beside the built-in ones.
    """
    from swim_server.protocol.channels import Catalogue, InvalidFamily

    found: dict[str, list[str]] = {}
    for event_type in sorted(unknown):
        family, dot, name = event_type.partition(".")
        if not dot or _is_declared(declared, event_type):
            continue
        try:
            Catalogue({family: [name]})
        except InvalidFamily:
            continue
        found.setdefault(family, []).append(name)
    return {family: [*declared.get(family, ()), *_joined(names)] for family, names in found.items()}


def _joined(names: Sequence[str]) -> list[str]:
    """Merge the names of an open-ended type: ``wish.made``, ``wish.granted``, ``wish.lost`` become ``wish.*``."""
    beginnings = Counter(name.rpartition(".")[0] for name in names)
    many = {beginning for beginning, number in beginnings.items() if beginning and number >= MANY_OF_A_KIND}
    joined = (f"{beginning}.*" if (beginning := name.rpartition(".")[0]) in many else name for name in names)
    return list(dict.fromkeys(joined))


def _is_declared(declared: Mapping[str, Sequence[str]], event_type: str) -> bool:
    from swim_server.protocol.channels import Catalogue

    return Catalogue(declared).knows(event_type)
