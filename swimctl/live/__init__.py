"""The live table on a terminal: what it knows, how it looks, how it is redrawn."""
