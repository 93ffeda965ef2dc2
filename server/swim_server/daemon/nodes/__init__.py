"""One node among several: the broker they share, and what this node does for all."""
