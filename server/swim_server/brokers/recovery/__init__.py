"""Damage and rot: found before a client needs what is gone, salvaged, and told."""
