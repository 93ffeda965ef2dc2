"""Recordings, of feed snapshots and of events: played and written."""
