"""State for those who ask for it: the world as it is now, and what comes into or leaves their filters."""
