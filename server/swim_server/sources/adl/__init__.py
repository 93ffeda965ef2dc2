"""The ADL tables: flights and initiatives from a database."""
