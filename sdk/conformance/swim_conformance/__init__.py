"""A scripted SWIM server, scenarios for clients, and the runner that holds every SDK to the same rules."""
