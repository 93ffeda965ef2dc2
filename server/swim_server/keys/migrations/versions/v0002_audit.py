"""The audit trail, to which the earlier system's REST interface may already write."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, Unicode

from swim_server.keys.migrations.additions import add_columns, add_table
from swim_server.keys.tables import UtcDateTime, big_identity

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create or complete ``swim_audit_log``."""
    is_new = add_table(
        "swim_audit_log",
        Column("id", big_identity, primary_key=True, autoincrement=True),
        Column("api_key_id", Integer),
        Column("endpoint", Unicode(255), nullable=False),
        Column("method", Unicode(10), nullable=False),
        Column("ip_address", Unicode(45), nullable=False),
        Column("user_agent", Unicode(500)),
        Column("request_time", UtcDateTime, nullable=False),
        Column("details", Unicode()),
        sqlite_autoincrement=True,
    )
    if is_new:
        op.create_index("IX_swim_audit_log_key", "swim_audit_log", ["api_key_id", "request_time"])
        op.create_index("IX_swim_audit_log_time", "swim_audit_log", ["request_time"])
        return
    add_columns(
        "swim_audit_log",
        Column("api_key_id", Integer),
        Column("endpoint", Unicode(255)),
        Column("method", Unicode(10)),
        Column("ip_address", Unicode(45)),
        Column("user_agent", Unicode(500)),
        Column("request_time", UtcDateTime),
        Column("details", Unicode()),
    )
