"""The life of the process: lockfile, detach, signals, fingerprint; the only package that wires all others together."""
