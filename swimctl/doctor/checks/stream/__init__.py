"""Checks of events: sources, history, delivery, the state made of them."""
