"""Pure detection: two snapshots of the network in, events out. No I/O, no clock."""
