"""``swimctl keys …``: the life of API keys. One module for what changes one key, what only looks, what changes many."""

from swimctl.commands.keys import life, many, reading
from swimctl.commands.keys.options import app

__all__ = ["app", "life", "many", "reading"]
