"""The world as it is now: what all events so far amount to."""
