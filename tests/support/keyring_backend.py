"""A keyring in a file, for tests: SWIM_TEST_KEYRING names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Keeps everything in one JSON document."""

    priority = 9

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write(self._read() | {f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        found = self._read()
        if found.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError(username)
        self._write(found)

    @property
    def _path(self) -> Path:
        return Path(os.environ["SWIM_TEST_KEYRING"])

    def _read(self) -> dict[str, str]:
        return dict(json.loads(self._path.read_text("utf-8"))) if self._path.exists() else {}

    def _write(self, values: dict[str, str]) -> None:
        self._path.write_text(json.dumps(values), "utf-8")
