"""Clients of the service: its control socket, its event stream, publishing."""
