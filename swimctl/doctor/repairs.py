"""What ``--fix`` does that more than one area could want: the key database's schema."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swimctl.doctor.examination import Examination

SCHEMA_QUESTION = "Add the missing tables and columns to the key database?"


async def upgrade_schema(examination: Examination) -> Sequence[str]:
    """Add what is missing of the key database's schema; nothing is dropped, renamed or rewritten."""
    return await asyncio.to_thread(_upgrade, examination)


def _upgrade(examination: Examination) -> list[str]:
    from swim_server.keys.upgrading import schema_status, upgrade

    from swimctl.key_access import open_database_of

    with open_database_of(examination.invocation) as database:
        missing = schema_status(database).missing
        upgrade(database)
    return [f"{table}: added {', '.join(columns)}" for table, columns in missing.items()]
