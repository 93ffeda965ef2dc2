"""The answers of the control socket as typed documents: the daemon builds them, ``swimctl`` decodes them.

During a restart, old and new processes talk to each other. So a reader ignores unknown fields, and a field that an
older process may not send has a default. The order of the fields is that of the JSON that ``--json`` prints: new ones
are added at the end.
"""
