"""Tools for concurrent code that know no domain: tasks, timers, workers, yielding, backoff, the clock."""
