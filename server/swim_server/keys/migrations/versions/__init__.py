"""The changes, in their order. Each looks at what is there, because installations differ."""
