"""The key database in a SQLite file, read without SQLAlchemy, which takes longer to import than to read all keys."""
