"""Changes to the key database's schema, by Alembic. They only add nullable columns and tables, and delete nothing."""
