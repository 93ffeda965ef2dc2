"""Doctor's checks, one module or folder per area."""
