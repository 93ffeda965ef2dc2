"""The WebSocket endpoint and the control socket: where bytes meet the service."""
