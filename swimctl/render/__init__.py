"""Rich tables, live views and lines for scripts: pure functions of data and width."""
