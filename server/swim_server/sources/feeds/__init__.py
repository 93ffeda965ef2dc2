"""Feeds over HTTP: the VATSIM network, and ECFMP flow measures."""
