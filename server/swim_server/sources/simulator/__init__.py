"""The simulator: an invented world, seen through the same detection as the real one."""
