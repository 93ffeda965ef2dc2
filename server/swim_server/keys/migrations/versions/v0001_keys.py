"""The table of keys, as installations of the earlier system have it, and the columns added since."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Unicode, text

from swim_server.keys.migrations.additions import add_columns, add_table
from swim_server.keys.tables import Bit, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create or complete ``swim_api_keys``."""
    is_new = add_table(
        "swim_api_keys",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("api_key", Unicode(64), nullable=False, unique=True),
        Column("tier", Unicode(20), nullable=False),
        Column("owner_name", Unicode(100), nullable=False),
        Column("owner_email", Unicode(255)),
        Column("description", Unicode(500)),
        Column("expires_at", UtcDateTime),
        Column("created_at", UtcDateTime),
        Column("last_used_at", UtcDateTime),
        Column("is_active", Bit, nullable=False, server_default=text("1")),
        Column("source_id", Unicode(50)),
        Column("can_write", Bit),
        Column("allowed_sources", Unicode()),
        Column("ip_whitelist", Unicode()),
        Column("owner_cid", Integer),
        Column("key_hint", Unicode(40)),
        sqlite_autoincrement=True,
    )
    if is_new:
        return
    add_columns(
        "swim_api_keys",
        Column("owner_email", Unicode(255)),
        Column("description", Unicode(500)),
        Column("expires_at", UtcDateTime),
        Column("created_at", UtcDateTime),
        Column("last_used_at", UtcDateTime),
        Column("source_id", Unicode(50)),
        Column("can_write", Bit),
        Column("allowed_sources", Unicode()),
        Column("ip_whitelist", Unicode()),
        Column("owner_cid", Integer),
        Column("key_hint", Unicode(40)),
    )
