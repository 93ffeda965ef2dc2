"""Detects that a key database was damaged, changed from outside or replaced by an older copy."""
