"""The live table on a terminal: its data, its layout, its redrawing."""
