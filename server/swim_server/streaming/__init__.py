"""Who receives what: hub, groups, connections, admission. State and asyncio, no sockets."""
