"""Options that several ``keys`` commands share, and how they are parsed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import command_group
from swimctl.completion.words import key_ids
from swimctl.errors import WrongUsage
from swimctl.key_access import utc_now

if TYPE_CHECKING:
    from swim_server.keys.format import Tier

app = command_group("Create, list, expire and revoke API keys.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
GREATEST_ID = 2**63 - 1
"""The largest value of an identity column in any supported database."""
KeyId = Annotated[
    int,
    typer.Argument(
        metavar="ID", autocompletion=key_ids, help="The key's id, as `keys list` shows it.", min=1, max=GREATEST_ID
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def parse_tier(text: str) -> Tier:
    """Parse a tier's name. Raises WrongUsage, listing the four tiers."""
    from swim_server.keys.format import Tier

    try:
        return Tier(text.strip().lower())
    except ValueError:
        known = ", ".join(Tier)
        raise WrongUsage(f"--tier: there is no tier {text!r}", f"the four that exist: {known}") from None


def parse_moment_option(option: str, text: str) -> datetime | None:
    """Parse a time given to an option. Raises WrongUsage."""
    from swimctl.arguments.times import InvalidMoment, parse_moment

    try:
        return parse_moment(text, utc_now())
    except InvalidMoment as error:
        raise WrongUsage(f"{option}: {error}") from None
