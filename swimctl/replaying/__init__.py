"""Replaying events from history or a recording, at a pace, to standard output, a file or a daemon."""
