"""The ADL tables: flights and initiatives out of a database."""
