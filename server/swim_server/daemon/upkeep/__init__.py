"""Maintains what a running process needs on disk: control socket, lockfile, log, key database."""
