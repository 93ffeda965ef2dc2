"""Tools for concurrent code, independent of the domain: tasks, timers, workers, yielding, backoff, the clock."""
