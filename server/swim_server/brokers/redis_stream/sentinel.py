"""Addresses of servers behind Sentinel: which sentinels are asked, and for which master."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
DEFAULT_PORT = 26379
FORM = "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379/mymaster"


class Sentinels(msgspec.Struct, frozen=True):
    """What a URL with several sentinels says."""

    urls: list[str]
    """Of each sentinel, with the credentials for sentinels if there are any."""
    master: str
    """The name under which the sentinels watch the server."""
    scheme: str
    database: str

    def server_url(self, host: str, port: int) -> str:
        """Return the URL of the server that a sentinel has named."""
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{shown}:{port}/{self.database}"


def read_sentinels(url: str) -> Sentinels | None:
    """Read ``redis+sentinel://[user:password@]host:port[,host:port]/master[/database]``; None: it is no such URL.

    Raises ValueError with what is wrong.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        return None
    place, _, path = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    master, _, database = path.partition("/")
    if not master or not hosts:
        raise ValueError(f"it must name sentinels and a master, like {FORM}")
    if not (database or "0").isdecimal():
        raise ValueError(f"after the master comes the number of a database, not {database!r}")
    urls = []
    for each in hosts.split(","):
        parts = urlsplit(f"//{each}")
        if not parts.hostname or not 0 < (parts.port or DEFAULT_PORT) < 65536:
            raise ValueError(f"{each!r} is no host and port")
        urls.append(f"{SCHEMES[scheme]}://{login}{at}{each if parts.port else f'{each}:{DEFAULT_PORT}'}")
    return Sentinels(urls, master, SCHEMES[scheme], database or "0")
