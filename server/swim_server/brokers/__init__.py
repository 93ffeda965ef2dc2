"""Brokers: give events their ids, store them, and only then deliver them."""
