"""What checks observe with: wire client, procfs, TDS, temporary keys."""
