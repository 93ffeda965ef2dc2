"""The unit's text: what it says for which installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swimctl.systemd.unit import Unit, quoted, words


def unit(**fields: Any) -> Unit:
    given: dict[str, Any] = {
        "scope": "system", "version": "0.1.0", "home": Path("/var/lib/swim"), "command": ["/opt/swim/bin/swimctl"],
        "user": "swim",
    }  # fmt: skip
    return Unit(**(given | fields))


def lines(**fields: Any) -> list[str]:
    return unit(**fields).text().splitlines()


def test_unit_tells_readiness_is_watched_and_is_restarted() -> None:
    assert {
        "Type=notify", "NotifyAccess=all", "WatchdogSec=30", "Restart=on-failure", "KillMode=mixed", "User=swim",
        "OOMPolicy=continue",
        "RestartPreventExitStatus=2 4", "LimitNOFILE=65536", "Environment=SWIM_HOME=/var/lib/swim",
        "ExecStart=/opt/swim/bin/swimctl serve", "ExecReload=/opt/swim/bin/swimctl reload",
        "WantedBy=multi-user.target",
    } <= set(lines())  # fmt: skip


def test_service_may_write_to_its_home_and_what_the_configuration_names_alone() -> None:
    found = lines(writable=[Path("/var/spool/swim"), Path("/var/lib/swim")])
    assert [line for line in found if line.startswith("ReadWritePaths=")] == [
        "ReadWritePaths=-/var/lib/swim", "ReadWritePaths=-/var/spool/swim",
    ]  # fmt: skip
    assert {"ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet="} <= set(found)


def test_event_file_in_the_common_temporary_folder_stays_visible() -> None:
    assert "PrivateTmp=no" in lines(writable=[Path("/tmp")])
    assert "PrivateTmp=no" in lines(needs_temporary=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"home": Path("/home/me/swim")},
        {"command": ["/home/me/venv/bin/swimctl"]},
        {"config_file": Path("/root/swim.toml")},
        {"python_path": "/srv/a:/home/me/b"},
    ],
    ids=["home", "command", "config", "packages"],
)
def test_what_lies_in_home_folders_stays_readable(fields: dict[str, Any]) -> None:
    assert "ProtectHome=read-only" in lines(**fields)


def test_low_port_is_allowed_and_nothing_else() -> None:
    found = lines(port=443)
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in found
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in found


def test_user_unit_asks_for_nothing_that_a_user_manager_can_not_do() -> None:
    found = lines(scope="user", user=None)
    assert "WantedBy=default.target" in found
    assert "NoNewPrivileges=yes" in found
    forbidden = ("User=", "ProtectSystem=", "CapabilityBoundingSet=", "PrivateDevices=", "After=network-online")
    assert not [line for line in found if line.startswith(forbidden)]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/plain/path", "/plain/path"),
        ("/with space", '"/with space"'),
        ("/100%", "/100%%"),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines", '"two\\nlines"'),
    ],
)
def test_word_stays_one_word(word: str, written: str) -> None:
    assert quoted(word) == written


def test_dollar_in_a_command_is_no_variable() -> None:
    assert words(["/a", "$HOME"]) == '/a "$$HOME"'
