"""The event file of the former provider: taken, read, published, removed."""
