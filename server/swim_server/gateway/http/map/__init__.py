"""What the live map asks for beside the state and the events: airports, boundaries, trails."""
