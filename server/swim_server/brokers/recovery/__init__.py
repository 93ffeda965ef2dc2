"""Damage to history: detected before a client needs what is gone, salvaged, and reported."""
