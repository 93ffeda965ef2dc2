"""Worker processes: how the primary starts, feeds and asks them, and the life of one."""
