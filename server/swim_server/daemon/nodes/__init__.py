"""One node among several: the broker they share, and what this one does for all."""
