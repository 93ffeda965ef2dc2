"""Checks of the key database: server, schema, and what the process reads."""
