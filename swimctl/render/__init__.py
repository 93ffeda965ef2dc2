"""Rich tables, live views and JSON lines: pure functions of data and width."""
