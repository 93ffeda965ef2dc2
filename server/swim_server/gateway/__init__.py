"""The WebSocket endpoint, plain HTTP and the control socket: where bytes meet the service."""
