"""Pure detection: two snapshots of the world in, events out. No I/O, no clock."""
