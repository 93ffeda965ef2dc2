"""Third-party client libraries against a real daemon: installed, run, and how each shows every kind of end, in
a table.
"""
