"""Probes of the key database."""
