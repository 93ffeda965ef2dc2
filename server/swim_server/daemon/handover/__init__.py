"""Handing the service over to a new process: the listening sockets and the held lock go across, nobody is turned away.

Old and new talk over a socket pair, one JSON object a line:

- new: ``prepared``. Everything is open except the listeners.
- old: ``go``, with its live connections. Its sources have stopped, and it admits nobody any more.
- new: ``serving``. It accepts, also clients that came meanwhile; the lockfile names it.
- old: ``left`` for each connection, then it closes the channel.

Before ``serving`` any failure leaves the old process serving as before.
"""
