"""What checks of the key database look with."""
