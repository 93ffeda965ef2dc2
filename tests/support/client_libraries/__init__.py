"""Third-party client libraries against a real daemon: installed, run, and a table of how each shows every end."""
