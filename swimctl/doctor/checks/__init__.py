"""Doctor's checks, a module an area."""
