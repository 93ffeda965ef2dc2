"""Foreign client libraries against a real daemon: installed, run, and what each shows of every end told in a table."""
