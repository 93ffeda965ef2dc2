"""The systemd unit as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Scope = Literal["system", "user"]

WATCHDOG_SECONDS = 30
STOP_SECONDS = 30
DESCRIPTORS = 65_536
MARK = "# Written by swimctl service install"
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The values the unit depends on."""

    scope: Scope
    version: str
    home: Path
    command: Sequence[str]
    """How swimctl is started."""
    user: str | None = None
    """The user of a system unit."""
    config_file: Path | None = None
    python_path: str | None = None
    """The folder of a checkout's packages; None: installed where Python finds them."""
    writable: Sequence[Path] = ()
    """Folders besides its home that it writes to: those of event files, a log, a database."""
    needs_temporary: bool = False
    """It shares the common temporary folder with other programs."""
    port: int = 8090

    def text(self) -> str:
        """Return the whole unit file."""
        target = "multi-user.target" if self.scope == "system" else "default.target"
        return "\n".join(
            [
                f"{MARK} ({self.version}). Changes of your own: systemctl edit.",
                "",
                "[Unit]",
                "Description=SWIM: live flight and traffic management events",
                *(["Wants=network-online.target", "After=network-online.target"] if self.scope == "system" else []),
                "StartLimitIntervalSec=300",
                "StartLimitBurst=10",
                "",
                "[Service]",
                *self._process(),
                "",
                *self._hardening(),
                "",
                "[Install]",
                f"WantedBy={target}",
                "",
            ]
        )

    def _process(self) -> list[str]:
        environment = [("SWIM_HOME", str(self.home))]
        environment += [("SWIM_CONFIG", str(self.config_file))] if self.config_file is not None else []
        environment += [("PYTHONPATH", self.python_path)] if self.python_path else []
        secrets = "/etc/swim/swim.env" if self.scope == "system" else "%E/swim/swim.env"
        return [
            "Type=notify",
            "# During swimctl restart the new process tells systemd that it takes over.",
            "NotifyAccess=all",
            f"WatchdogSec={WATCHDOG_SECONDS}",
            *([f"User={self.user}"] if self.scope == "system" and self.user else []),
            *(f"Environment={quoted(f'{name}={value}')}" for name, value in environment),
            "# Secrets, one SWIM_DATABASE__PASSWORD=… a line, readable only by root.",
            f"EnvironmentFile=-{secrets}",
            f"ExecStart={words([*self.command, 'serve'])}",
            f"ExecReload={words([*self.command, 'reload'])}",
            "Restart=on-failure",
            "RestartSec=2",
            "# Another try does not help if the configuration is wrong or the service already runs.",
            "RestartPreventExitStatus=2 4",
            "KillMode=mixed",
            "# A worker process that the kernel ends for want of memory is started again by the service.",
            "OOMPolicy=continue",
            "TimeoutStartSec=60",
            f"TimeoutStopSec={STOP_SECONDS}",
            f"LimitNOFILE={DESCRIPTORS}",
            "UMask=0077",
        ]

    def _hardening(self) -> list[str]:
        """Return the restrictions on the service: all that it does not need. A user's manager supports fewer."""
        common = [
            "NoNewPrivileges=yes",
            "LockPersonality=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "SystemCallArchitectures=native",
        ]
        if self.scope == "user":
            return common
        capabilities = "CAP_NET_BIND_SERVICE" if 0 < self.port < 1024 else ""
        writable = list(dict.fromkeys([self.home, *self.writable]))
        return [
            *common,
            f"CapabilityBoundingSet={capabilities}",
            *([f"AmbientCapabilities={capabilities}"] if capabilities else []),
            "ProtectSystem=strict",
            f"ProtectHome={'read-only' if self._is_in_homes() else 'yes'}",
            *(f"ReadWritePaths={quoted(f'-{path}')}" for path in writable),
            f"PrivateTmp={'no' if self._meets_others() else 'yes'}",
            "PrivateDevices=yes",
            "ProtectClock=yes",
            "ProtectControlGroups=yes",
            "ProtectHostname=yes",
            "ProtectKernelLogs=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelTunables=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
            "RestrictNamespaces=yes",
            "SystemCallFilter=@system-service",
            "SystemCallErrorNumber=EPERM",
        ]

    def _is_in_homes(self) -> bool:
        """Return True if anything it needs lies where ProtectHome= would hide it."""
        return any(path.is_relative_to(folder) for path in self._needed() for folder in _HOMES)

    def _meets_others(self) -> bool:
        needed = self._needed()
        return self.needs_temporary or any(path.is_relative_to(folder) for path in needed for folder in _TEMPORARY)

    def _needed(self) -> list[Path]:
        needed = [self.home, *self.writable, Path(self.command[0])]
        needed += [self.config_file] if self.config_file is not None else []
        return needed + [Path(part) for part in (self.python_path or "").split(":") if part]


def words(command: Sequence[str]) -> str:
    """Format a command line as systemd reads it (systemd.service(5), COMMAND LINES)."""
    return " ".join(quoted(word.replace("$", "$$")) for word in command)


def quoted(word: str) -> str:
    """Quote one word, whatever it contains, so that it is neither a specifier nor two words."""
    escaped = word.replace("%", "%%")
    if _PLAIN.fullmatch(escaped):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
