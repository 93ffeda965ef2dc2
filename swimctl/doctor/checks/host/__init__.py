"""Checks of the machine: disk, ownership, folders, log, unit."""
