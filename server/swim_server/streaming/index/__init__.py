"""The index: finds the groups that may want an event without looking at the others."""
