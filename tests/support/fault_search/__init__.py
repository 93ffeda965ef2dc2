"""Faults by search: drawn from a grammar, produced on a real daemon, judged by what a client sees."""
