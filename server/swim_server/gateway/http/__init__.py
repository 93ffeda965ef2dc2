"""Plain HTTP on the same port as the WebSockets."""
