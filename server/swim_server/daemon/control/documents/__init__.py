"""What the control socket answers, as typed documents: the daemon builds them, ``swimctl`` decodes them.

Old and new processes talk to each other over a restart. So a reader passes over fields that it doesn't know, and a
field that an older process may not send has a default. The order of the fields is that of the JSON that ``--json``
prints: new ones go to the end.
"""
