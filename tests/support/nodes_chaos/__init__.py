"""Faults between nodes, traffic over all of them, and a checker that knows only what was acknowledged and received."""
