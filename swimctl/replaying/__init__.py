"""Replays events from history or a recording, paced, to standard output, a file or a daemon."""
