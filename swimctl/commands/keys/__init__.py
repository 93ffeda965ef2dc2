"""``swimctl keys …``: API keys. One module changes a single key, one only reads, one changes many."""

from swimctl.commands.keys import bulk, lifecycle, query
from swimctl.commands.keys.options import app

ORDER = ("create", "list", "show", "find", "expire", "revoke", "accept", "rotate", "import", "harden", "audit")
"""In the order of a key's life."""
app.registered_commands.sort(key=lambda command: ORDER.index(command.name or str(command.callback.__name__)))  # type: ignore[union-attr]  # each has a callback

__all__ = ["app", "bulk", "lifecycle", "query"]
