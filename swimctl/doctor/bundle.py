"""The support bundle: what a diagnosis needs, in one file, with secrets removed."""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from swim_server.files.replacing import put_in_place

from swimctl.doctor.redaction import redact
from swimctl.doctor.saved_facts import NAME as FACTS
from swimctl.doctor.saved_facts import to_json
from swimctl.errors import CommandError, WrongUsage

if TYPE_CHECKING:
    from swimctl.doctor.report import Report
    from swimctl.doctor.saved_facts import SavedRun
    from swimctl.invocation import Invocation

LOG_BYTES = 256 * 1024
CALL_SECONDS = 3.0
KINDS = {".tar.gz": "gz", ".tgz": "gz", ".zip": "zip"}
ASKED = ("status", "config", "version", "config_changes")


def archive_kind(path: Path) -> str:
    """Return the archive format that the file's name asks for. Raises WrongUsage."""
    kind = next((kind for suffix, kind in KINDS.items() if path.name.endswith(suffix)), None)
    if kind is None:
        raise WrongUsage(f"--bundle: {path.name!r} must end in {', '.join(KINDS)}")
    return kind


def collect(
    invocation: Invocation, report: Report, run: SavedRun | None, environ: Mapping[str, str]
) -> dict[str, bytes]:
    """Collect the contents by name, including facts that can be evaluated elsewhere. What is unavailable says why."""
    secrets = list(known_secrets(invocation, environ))
    found: dict[str, str] = {"doctor.json": _json(report.document())}
    found |= {f"daemon/{name}.json": text for name, text in _answers(invocation)}
    found["config/effective.json"] = _effective(invocation)
    found["environment.json"] = _json({name: environ[name] for name in sorted(environ) if name.startswith("SWIM_")})
    found["machine.json"] = _json(_procfs())
    found["packages.txt"] = "".join(f"{line}\n" for line in _packages())
    for name, path in _files(invocation):
        found[name] = _tail(path)
    cleaned = {name: redact(text, secrets).encode() for name, text in found.items()}
    return cleaned if run is None else {FACTS: to_json(run, secrets), **cleaned}


def write(path: Path, kind: str, contents: Mapping[str, bytes]) -> None:
    """Write the archive, readable only by its owner; on failure no file is left."""
    stem = path.name
    for suffix in KINDS:
        stem = stem.removesuffix(suffix)
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                archive.writestr(f"{stem}/{name}", data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
            for name, data in contents.items():
                entry = tarfile.TarInfo(f"{stem}/{name}")
                entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
                packed.addfile(entry, io.BytesIO(data))
    put_in_place(path, buffer.getvalue(), mode=0o600)


def known_secrets(invocation: Invocation, environ: Mapping[str, str]) -> Iterator[str]:
    """Return the secrets of this installation, to be removed wherever they turn up."""
    from swim_server.config import ConfigError
    from swim_server.config.annotated_values import annotated_values
    from swim_server.config.files import find_files

    from swimctl.doctor.checks.config import password_files, written_passwords

    yield from (environ[name] for name in ("SWIM_API_KEY", "SWIM_DATABASE__PASSWORD") if environ.get(name))
    for path in find_files(invocation.config_path, invocation.environ):
        yield from written_passwords(path)  # even if the configuration is invalid
    try:
        config = invocation.load_config().config
    except ConfigError:
        return
    for _, rule, holder, key in annotated_values(msgspec.to_builtins(config)):
        value = str(holder[key])
        if rule == "secret":
            yield value
        elif rule in ("database_url", "tables_database_url") and "@" in value:
            password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
            yield from (password, unquote(password))
    for name in password_files(config):
        try:
            yield Path(name).read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError):
            continue


def _answers(invocation: Invocation) -> Iterator[tuple[str, str]]:
    """Return the process's answers about itself."""
    from swimctl.client.control import ControlClient

    for method in ASKED:
        try:
            with ControlClient.connect(invocation.home, timeout=0.0, open_timeout=CALL_SECONDS) as control:
                yield method, _json(control.call(method, timeout=CALL_SECONDS))
        except (CommandError, OSError) as error:
            yield method, _json({"error": str(error)})


def _effective(invocation: Invocation) -> str:
    from swim_server.config import ConfigError
    from swim_server.config.secrets import without_secrets

    try:
        loaded = invocation.load_config()
    except ConfigError as error:
        return _json({"problems": [str(problem) for problem in error.problems]})
    values: dict[str, Any] = without_secrets(msgspec.to_builtins(loaded.config))
    origins = {name: str(origin) for name, origin in loaded.origins.items() if origin.kind != "default"}
    return _json({"config": values, "origins": origins, "files": [str(path) for path in loaded.files]})


def _files(invocation: Invocation) -> Iterator[tuple[str, Path]]:
    from swim_server.config.files import find_files

    home = invocation.home
    yield "home/swim.lock", home.lockfile
    yield "home/starts.jsonl", home.starts
    yield "home/swim.log", home.log
    for number, path in enumerate(find_files(invocation.config_path, invocation.environ)):
        yield f"config/{number + 1}-{path.name}", path
    try:
        configured = invocation.load_config().config.logging.file
    except Exception:  # noqa: BLE001  # config/effective.json tells what is wrong with it
        configured = None
    if configured:
        yield "log.txt", Path(configured)


def _tail(path: Path) -> str:
    """Return the end of a file, beginning with a whole line so that no secret is cut in two."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - LOG_BYTES))
            data = file.read(LOG_BYTES)
    except OSError as error:
        return f"({path}: {error.strerror})\n"
    if length > LOG_BYTES:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")


def _procfs() -> dict[str, Any]:
    import resource
    import shutil

    usage = shutil.disk_usage("/")
    return {
        "platform": platform.platform(),
        "python": sys.version,
        "executable": sys.executable,
        "user_id": os.geteuid(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "file_descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        "root_disk": {"total": usage.total, "free": usage.free},
        "time": time.time(),
    }


def _packages() -> list[str]:
    return sorted({f"{each.metadata['Name']}=={each.version}" for each in metadata.distributions()})


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
