"""``swimctl keys …``: the life of API keys. One module for what changes one key, what only looks, what changes many."""

from swimctl.commands.keys import bulk, lifecycle, query
from swimctl.commands.keys.options import app

__all__ = ["app", "bulk", "lifecycle", "query"]
