"""The current state of the world: the result of all events so far."""
