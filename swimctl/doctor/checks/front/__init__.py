"""Checks of the public address."""
