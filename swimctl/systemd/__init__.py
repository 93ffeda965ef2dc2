"""Running the service under systemd: its unit, and systemd's own tools."""
