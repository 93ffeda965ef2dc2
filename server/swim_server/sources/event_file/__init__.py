"""The event file of the earlier provider: taken, read, published, removed."""
