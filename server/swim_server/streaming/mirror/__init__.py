"""State for clients that ask for it: the current state, and what enters or leaves their filters."""
