"""The SWIM streaming service. Imports nothing of ``swimctl``."""

__version__ = "0.1.0"
