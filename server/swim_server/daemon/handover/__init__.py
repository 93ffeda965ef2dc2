"""Hands the service over to a new process, with its listening sockets and its lock; no client is turned away.

Old and new process talk over a socket pair, one JSON object per line:

- new: ``prepared``. Everything is open except the listeners.
- old: ``go``, with its live connections. Its sources have stopped, and it admits nobody any more.
- new: ``serving``. It accepts, also clients that came meanwhile; the lockfile names it.
- old: ``left`` for each connection, then it closes the channel.

Before ``serving`` any failure leaves the old process serving as before.
"""
