"""Several nodes as one service: membership, shared connection limits, leases of sources, changes of keys."""
