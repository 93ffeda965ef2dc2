"""Checks of the process: lock, port, answers, limits, how it was started."""
