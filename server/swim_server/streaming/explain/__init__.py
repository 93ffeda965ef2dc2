"""The ``explain`` feature: what is remembered of sessions, and why an event was or was not sent."""
