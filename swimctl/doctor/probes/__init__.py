"""What checks look with: the wire, procfs, TDS, temporary keys."""
