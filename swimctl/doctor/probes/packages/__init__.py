"""Probes of the installed packages."""
