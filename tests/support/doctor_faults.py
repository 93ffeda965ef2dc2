"""Faults produced on a real deployment and examined by doctor: which checks must fire, and no others.

A table of faults is a tuple of ``Fault``. Each has a ``produce``: a context manager around a ``Patient`` that has not
been started; at its ``yield`` the fault is present. ``judge`` runs it completely.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from support.daemon import ROOT, NotAnswering, end_all, measuring
from support.live_daemon import LiveDaemon
from support.preloaded import Preloaded

from swimctl.doctor.context import Options
from swimctl.doctor.diagnose import Doctor
from swimctl.doctor.saved_facts import read_facts
from swimctl.invocation import Invocation

SMALL = """\
[server]
port = 0

[tiers.system]
connections = 100
"""
"""Full tiers must fit this machine's file descriptors, whatever they are."""
PATIENCE_SECONDS = "30"
"""What doctor is given on a machine that runs other tests at the same time."""
PASTE_SECONDS = 60
"""How long what was pasted may take; all of it is ended then."""
AS_ROOT = ("--skip", "host.user") if os.geteuid() == 0 else ()
"""What doctor warns of is so where root runs the tests."""
PACKAGES = ("swimctl", "server/swim_server")


class Patient(LiveDaemon):
    """A copy of the code with its own home and configuration; doctor is run from the same copy."""

    def __init__(self, folder: Path, code: Path | None = None, *, config: str = SMALL) -> None:
        self.folder = folder
        self.code = code or shared_code()
        """What the daemon is started from, and doctor too; change it for one of them."""
        self.patience_seconds = PATIENCE_SECONDS
        """What doctor is given."""
        super().__init__(folder / "home", config=config)
        commands = folder / "bin"
        commands.mkdir(exist_ok=True)
        program = commands / "swimctl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m swimctl "$@"\n', "utf-8")
        program.chmod(0o755)
        self.environ["PATH"] = f"{commands}{os.pathsep}{os.environ['PATH']}"
        self.environ["PYTHONSAFEPATH"] = "1"  # no working folder is looked into for code
        self.use(self.code)

    def use(self, code: Path) -> None:
        """Run commands, and start daemons, from this copy."""
        self.environ["PYTHONPATH"] = os.pathsep.join(map(str, roots_of(code)))

    def configure(self, text: str) -> None:
        """Write the configuration file."""
        self.config_path.write_text(text, "utf-8")

    def source(self, name: str) -> Path:
        """Return a file of the copy: ``swim_server/logs.py``."""
        return next(path for root in roots_of(self.code) if (path := root / name).exists())

    def edit(self, name: str, old: str = "", new: str = "") -> None:
        """Change a source file of the copy: replace a text, or add a comment at the end."""
        assert self.code != shared_code(), "others run that code: the fault needs has_own_code"
        path = self.source(name)
        text = path.read_text("utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1) if old else f"{text}# edited\n", "utf-8")

    @property
    def facts(self) -> Path:
        """The file to which the last run of doctor saved its observations."""
        return self.folder / "facts.json"

    def doctor(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run ``swimctl doctor --json``; return exit code and document."""
        options = ("--json", "--timeout", self.patience_seconds, "--save-facts", str(self.facts), *AS_ROOT)
        done = self.swimctl("doctor", *options, *words, timeout=90 + float(self.patience_seconds))
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def paste(self, text: str) -> None:
        """Paste a fix into a shell, as a reader does."""
        environ = self.environ | {"EDITOR": "true", "PAGER": "cat"}
        words = ["timeout", "--signal=KILL", str(PASTE_SECONDS), "bash", "-c", text]
        subprocess.run(words, env=environ, cwd=self.folder, check=False, capture_output=True, stdin=subprocess.DEVNULL)

    def swimctl(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command with the patient's code, from outside."""
        stdin = more.pop("stdin", None)
        code = os.pathsep.join(map(str, roots_of(shared_code())))
        if stdin is None and self.environ["PYTHONPATH"] == code:
            return preloaded(code, **measuring()).run(words, self.environ, self.folder, more.pop("timeout", 60))
        return subprocess.run(
            [sys.executable, "-P", "-m", "swimctl", *words], env=self.environ, text=True, capture_output=True,
            cwd=self.folder, timeout=more.pop("timeout", 60), check=False, input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )  # fmt: skip

    def finish(self) -> None:
        """End whatever is running in the home."""
        try:
            pid = self.status()["pid"]
        except NotAnswering:
            pid = None
        if self.process is None and pid is not None:
            self.swimctl("stop")
        super().finish()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can go wrong."""

    name: str
    produce: Callable[[Patient], AbstractContextManager[None]]
    fires: frozenset[str]
    """The checks that must come out as warn, fail or unknown; no other may."""
    follows: frozenset[str] = frozenset()
    """What may fire besides, as its consequence, depending on how fast the machine is."""
    first: str = ""
    """The check that must be told first, where several fire; the others must be folded under it."""
    exit_code: int = 1
    words: tuple[str, ...] = ()
    """More words for doctor."""
    names: str = ""
    """What must be told somewhere: a file, a pid."""
    has_own_code: bool = False
    """It changes the code: it has a copy of its own."""
    is_mended_by_paste: bool = True
    """Pasting the fixes, in their order, makes all well again."""
    config: str = SMALL


def first_command(check: dict[str, Any]) -> str | None:
    """Return a check's fix, or its first advice: what somebody who decides for it would type."""
    advice = next((each["command"] for each in check["advice"]), None)
    command: str | None = check["fix"] or advice
    return command


def judged_elsewhere(path: Path) -> dict[str, Any]:
    """Evaluate saved facts without access to the installation where they were observed."""
    report = Doctor(Invocation(environ={}), Options(), saved=read_facts(path)).examine()
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report.document()))
    return document


def outcomes(document: dict[str, Any]) -> dict[str, tuple[str, str | None, str | None]]:
    """Return what is not well: its status, its cause, the first command to type."""
    return {
        each["id"]: (each["status"], each["cause"], first_command(each))
        for each in document["checks"]
        if each["status"] not in ("ok", "skip")
    }


def fired(document: dict[str, Any]) -> dict[str, str]:
    """Return the checks that are not well, with what they observed."""
    return {
        each["id"]: f"{each['status']}: {each['observed']}"
        for each in document["checks"]
        if each["status"] not in ("ok", "skip")
    }


def judge(fault: Fault, folder: Path, code: Path | None = None, *, kind: type[Patient] = Patient) -> None:
    """Produce a fault, compare what fires with the table, paste the fixes, and check that all is well."""
    own = copy_of_the_code(folder / "code") if fault.has_own_code and code is None else code
    patient = kind(folder, own, config=fault.config)
    try:
        with fault.produce(patient):
            exit_code, document = patient.doctor(*fault.words)
            told = fired(document)
            assert fault.fires <= set(told) <= fault.fires | fault.follows, (
                f"{fault.name}: {told}\n{patient.everything_logged}"
            )
            assert exit_code == fault.exit_code or fault.follows & set(told), told
            assert outcomes(judged_elsewhere(patient.facts)) == outcomes(document), fault.name
            if fault.first:
                above = {each["cause"] for each in document["checks"] if each["id"] in set(told) - {fault.first}}
                assert document["first"] == fault.first, f"{fault.name}: {document['first']}: {told}"
                assert above <= {fault.first}, f"{fault.name}: {told}"
            assert fault.names in json.dumps(document, ensure_ascii=False), f"{fault.names!r} is not told: {told}"
            if fault.is_mended_by_paste:
                causes = [each for each in document["checks"] if each["id"] in told and each["cause"] is None]
                fixes = [text for each in causes if (text := first_command(each))]
                for fix in fixes:
                    patient.paste(fix)
                exit_code, document = patient.doctor(*fault.words)
                assert not fired(document), f"{fault.name}, after {fixes}: {fired(document)}"
                assert (exit_code, document["ok"]) == (0, True)
    finally:
        patient.finish()


@contextmanager
def healthy(patient: Patient) -> Iterator[None]:
    """Produce no fault at all."""
    patient.start(port=0)
    yield


@lru_cache
def shared_code() -> Path:
    """Return a copy of the code for all tests of this process that don't change it."""
    folder = tempfile.mkdtemp(prefix="swim-code-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return copy_of_the_code(Path(folder))


@lru_cache
def preloaded(code: str, **measuring: str) -> Preloaded:
    """Return a process that has imported a copy of the code; another one for tests whose coverage isn't measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "_SWIM"))}
    process = Preloaded(kept | {"PYTHONPATH": code, "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": ""})
    atexit.register(process.end)
    return process


def copy_of_the_code(folder: Path) -> Path:
    """Copy the project's code, without version bounds on its requirements, as this machine's packages may differ."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, dirs_exist_ok=True)
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    head, _, rest = text.partition("dependencies = [")
    listed, _, tail = rest.partition("\n]")
    names = re.findall(r'^  "([A-Za-z0-9._-]+)', listed, re.MULTILINE)
    lines = "".join(f'\n  "{name}",' for name in names if name != "uvloop")
    (folder / "pyproject.toml").write_text(f"{head}dependencies = [{lines}\n]{tail}", "utf-8")
    return folder


def roots_of(code: Path) -> Sequence[Path]:
    """Return a copy's entries on Python's path."""
    return (code, code / "server", code / "sdk" / "python") if (code / "server").exists() else (code,)


def installed_copy(folder: Path, version: str = "0.1.0") -> Path:
    """Install the code as pip does from a wheel: packages and RECORD side by side."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / Path(package).name, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )  # fmt: skip
    shutil.copy(ROOT / "config" / "swim.toml", folder / "swim_server" / "config" / "swim.toml")
    metadata = folder / f"swimctl-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.3\nName: swimctl\nVersion: {version}\n", "utf-8")
    rows = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            rows.append(f"{path.relative_to(folder).as_posix()},sha256={digest},{path.stat().st_size}")
    record = metadata / "RECORD"
    record.write_text("\n".join([*rows, f"{record.relative_to(folder).as_posix()},,"]) + "\n", "utf-8")
    return folder


__all__ = [
    "SMALL",
    "Fault",
    "Patient",
    "copy_of_the_code",
    "end_all",
    "fired",
    "healthy",
    "installed_copy",
    "judge",
    "roots_of",
]
