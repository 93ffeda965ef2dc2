"""The life of the process: lockfile, detach, signals, fingerprint; the only place that wires all rooms."""
