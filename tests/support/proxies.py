"""The six proxies, as their Debian packages configure them, with the files in ``config/``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from support.proxy import BACKEND, CERTIFICATES, CONFIG, HOST, START_SECONDS, Proxy, SiteOfPages, free_port


class Apache(Proxy):
    name = "apache"
    program = "apache2"
    package = "apache2"
    timeout_text = ("timeout=120",)

    DEBIAN_MODULES = (
        "alias",
        "authn_core",
        "authz_core",
        "authz_host",
        "deflate",
        "dir",
        "env",
        "filter",
        "mime",
        "mpm_event",
        "negotiation",
        "reqtimeout",
        "setenvif",
        "status",
    )
    """Enabled by Debian's package, and not by our file's first lines."""

    def command(self) -> list[str]:
        site = self.shipped(
            "apache/swim.conf",
            {
                "*:80>": f"127.0.0.1:{self.plain_port}>",
                "*:443>": f"127.0.0.1:{self.port}>",
                BACKEND: f"127.0.0.1:{self.backend_port}",
                CERTIFICATES: str(self.folder),
                "/var/www/html": str(self.pages),
            },
        )
        return self.with_site(site)

    def with_site(self, site: str) -> list[str]:
        """A server as Debian sets it up, with one site."""
        available = Path("/etc/apache2/mods-available")
        modules = list(self.DEBIAN_MODULES)
        enabled = re.search(r"^#\s+a2enmod (.+)$", (CONFIG / "apache/swim.conf").read_text(), re.MULTILINE)
        assert enabled is not None, "the file says which modules it needs"
        loads = [available / f"{name}.load" for name in (*modules, *enabled[1].split(), "socache_shmcb")]
        settings = [available / f"{name}.conf" for name in (*modules, *enabled[1].split())]
        lines = [
            'ServerRoot "/etc/apache2"',
            "ServerName localhost",
            f"PidFile {self.folder}/apache.pid",
            f"DefaultRuntimeDir {self.folder}",
            f"Mutex file:{self.folder} default",
            f"Timeout {300 if self.quiet_seconds is None else 1}",
            f"ErrorLog {self.logs}/error.log",
            "LogLevel warn",
            "HostnameLookups Off",
            *(f"Include {path}" for path in loads),
            *(f"Include {path}" for path in settings if path.exists()),
            *(["User www-data", "Group www-data"] if os.geteuid() == 0 else []),
            f"Listen 127.0.0.1:{self.port}",
            f"Listen 127.0.0.1:{self.plain_port}",
            "<Directory />",
            "Require all granted",
            "</Directory>",
            f"Include {self.write('swim.conf', site)}",
        ]
        return [self.path, "-DFOREGROUND", "-f", str(self.write("apache2.conf", "\n".join(lines) + "\n"))]

    def environ(self) -> dict[str, str]:
        return {"APACHE_LOG_DIR": str(self.logs), "APACHE_RUN_DIR": str(self.folder)}

    def reload(self) -> None:
        self.signal(signal.SIGUSR1)


class Nginx(Proxy):
    name = "nginx"
    program = "nginx"
    package = "nginx"
    timeout_text = ("proxy_read_timeout 120s", "proxy_send_timeout 120s")

    def command(self) -> list[str]:
        site = self.shipped(
            "nginx/swim.conf",
            {
                "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
                "    listen [::]:80;\n": "",
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "    listen [::]:443 ssl http2;\n": "",
                BACKEND: f"127.0.0.1:{self.backend_port}",
                CERTIFICATES: str(self.folder),
                "/var/www/html": str(self.pages),
                "/var/log/nginx": str(self.logs),
            },
        )
        advice = re.findall(r"^#   (worker_rlimit_nofile .*|events \{.*)$", site, re.MULTILINE)
        assert len(advice) == 2, "the file says what nginx.conf needs"
        return self.with_site(site, advice)

    def with_site(self, site: str, main: list[str]) -> list[str]:
        """A server as Debian sets it up, but for the lines of ``main``, with one site."""
        lines = [
            *(["user www-data;"] if os.geteuid() == 0 else []),
            "worker_processes auto;",
            "daemon off;",
            f"pid {self.folder}/nginx.pid;",
            f"error_log {self.logs}/error.log;",
            *main,
            "http {",
            "include /etc/nginx/mime.types;",
            "gzip on;",
            f"access_log {self.logs}/access.log;",
            *(
                f"{name}_temp_path {self.folder}/{name};"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
            f"include {self.write('swim.conf', site)};",
            "}",
        ]
        return [self.path, "-c", str(self.write("nginx.conf", "\n".join(lines) + "\n")), "-e", f"{self.logs}/first.log"]

    def reload(self) -> None:
        self.signal(signal.SIGHUP)


class HAProxy(Proxy):
    name = "haproxy"
    program = "haproxy"
    package = "haproxy"
    offers_websocket_over_http2 = True
    timeout_text = ("timeout client 120s", "timeout server 120s", "timeout tunnel 120s")

    def __init__(self, folder: Path, backend_port: int, *, quiet_seconds: int | None = None) -> None:
        super().__init__(folder, backend_port, quiet_seconds=quiet_seconds)
        self.site = SiteOfPages(self.pages)

    def command(self) -> list[str]:
        changes = {
            "bind :443": f"bind 127.0.0.1:{self.port}",
            "bind :80": f"bind 127.0.0.1:{self.plain_port}",
            f"/etc/haproxy/certs/{HOST}.pem": f"{self.folder}/both.pem",
            "127.0.0.1:8080": f"127.0.0.1:{self.site.port}",
            BACKEND: f"127.0.0.1:{self.backend_port}",
            "log /dev/log local0": "log stdout format raw local0",
        }
        if os.geteuid() != 0:
            for line in ("    user haproxy\n", "    group haproxy\n", "    chroot /var/lib/haproxy\n"):
                changes[line] = ""
        config = self.write("haproxy.cfg", self.shipped("haproxy/haproxy.cfg", changes))
        return [self.path, "-W", "-f", str(config)]

    def reload(self) -> None:
        self.signal(signal.SIGUSR2)

    def stop(self) -> None:
        super().stop()
        self.site.close()


class Caddy(Proxy):
    name = "caddy"
    program = "caddy"
    package = "caddy"
    keeps_tunnels_at_reload = False

    def command(self) -> list[str]:
        self._admin = free_port()
        config = self.write("Caddyfile", self.shipped("caddy/Caddyfile", self.changes()))
        return [self.path, "run", "--config", str(config)]

    def changes(self) -> dict[str, str]:
        return {
            "admin localhost:2019": f"admin localhost:{self._admin}\n\tauto_https disable_redirects",
            f"\n{HOST} {{\n": f"\n{HOST}:{self.port} {{\n\ttls {self.folder}/fullchain.pem {self.folder}/privkey.pem\n",
            BACKEND: f"127.0.0.1:{self.backend_port}",
            "/var/www/html": str(self.pages),
            "/var/log/caddy": str(self.logs),
        }

    def environ(self) -> dict[str, str]:
        return {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "HOME": str(self.folder)}

    def reload(self) -> None:
        words = [self.path, "reload", "--force", "--config", str(self.folder / "Caddyfile")]
        subprocess.run(words, check=True, capture_output=True, env=os.environ | self.environ(), timeout=START_SECONDS)


class Lighttpd(Proxy):
    name = "lighttpd"
    program = "lighttpd"
    package = "lighttpd"
    tells_when_to_retry = False
    also_needs: ClassVar = {Path("/usr/lib/lighttpd/mod_openssl.so"): "lighttpd-mod-openssl"}
    offers_websocket_over_http2 = True
    timeout_text = ("server.max-read-idle = 120", "server.max-write-idle = 120")

    def command(self) -> list[str]:
        site = self.shipped(
            "lighttpd/swim.conf",
            {
                ":443": f"127.0.0.1:{self.port}",
                '"127.0.0.1", "port" => 8090': f'"127.0.0.1", "port" => {self.backend_port}',
                CERTIFICATES: str(self.folder),
                "/var/log/lighttpd": str(self.logs),
            },
        )
        debian = Path("/etc/lighttpd/lighttpd.conf").read_text("utf-8")
        advice = re.search(r'"(server.graceful-shutdown-timeout)": change it to (\d+)', site)
        assert advice is not None, "the file says what lighttpd.conf needs"
        for old, new in {
            f'"{advice[1]}" => 5': f'"{advice[1]}" => {advice[2]}',
            "/var/www/html": str(self.pages),
            "/var/log/lighttpd": str(self.logs),
            "/run/": f"{self.folder}/",
            "/var/cache/lighttpd/uploads": str(self.logs),
            "server.port                 = 80": f"server.port = {self.plain_port}",
            'include_shell "/usr/share/lighttpd/use-ipv6.pl " + server.port': 'server.bind = "127.0.0.1"',
            'include "/etc/lighttpd/conf-enabled/*.conf"': f'include "{self.write("swim.conf", site)}"',
        }.items():
            assert old in debian, f"Debian's lighttpd.conf has no {old!r}"
            debian = debian.replace(old, new)
        if os.geteuid() != 0:
            debian = re.sub(r"^server\.(user|group)name.*$", "", debian, flags=re.MULTILINE)
        return [self.path, "-D", "-f", str(self.write("lighttpd.conf", debian))]

    def reload(self) -> None:
        self.signal(signal.SIGUSR1)


class Varnish(Proxy):
    name = "varnish"
    program = "varnishd"
    package = "varnish"
    has_tls = False
    answers_websockets_without_service = False
    timeout_text = ("pipe_timeout=120",)

    def __init__(self, folder: Path, backend_port: int, *, quiet_seconds: int | None = None) -> None:
        super().__init__(folder, backend_port, quiet_seconds=quiet_seconds)
        self.site = SiteOfPages(self.pages)

    def command(self) -> list[str]:
        changes = {'.port = "8090"': f'.port = "{self.backend_port}"', '.port = "8080"': f'.port = "{self.site.port}"'}
        text = self.shipped("varnish/swim.vcl", changes)
        advice = re.search(r"-p (pipe_timeout=\d+)", text)
        assert advice is not None, "the file says how to start varnishd"
        self._vcl = self.write("swim.vcl", text)
        return [
            self.path,
            "-F",
            "-n",
            str(self.folder / "varnish"),
            "-a",
            f"127.0.0.1:{self.port}",
            "-p",
            advice[1],
            "-s",
            "malloc,32m",
            "-f",
            str(self._vcl),
        ]

    def reload(self) -> None:
        name = f"again{time.monotonic_ns()}"
        for words in (["vcl.load", name, str(self._vcl)], ["vcl.use", name]):
            subprocess.run(["varnishadm", "-n", str(self.folder / "varnish"), *words], check=True, capture_output=True)

    def stop(self) -> None:
        super().stop()
        self.site.close()


PROXIES: dict[str, type[Proxy]] = {each.name: each for each in (Apache, Nginx, HAProxy, Caddy, Lighttpd, Varnish)}


@contextmanager
def running_proxy(
    name: str, backend_port: int, *, quiet_seconds: int | None = None, edits: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Run a proxy during a ``with``."""
    folder = Path(tempfile.mkdtemp(prefix="swim-proxy-"))
    folder.chmod(0o755)
    try:
        proxy = PROXIES[name](folder, backend_port, quiet_seconds=quiet_seconds)
        proxy.edits = edits or {}
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
