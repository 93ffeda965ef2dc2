"""A small Debian in a folder, made by debootstrap: another machine to install on. Kept between runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.packages import INSTALL_SECONDS, missing, require_program

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
ROOT = Path(__file__).parents[2]
MOUNTED = ("dev", "dev/pts", "proc")
ENTER = " && ".join(f'mount --bind /{name} "$0/{name}"' for name in MOUNTED) + ' && exec chroot "$0" "$@"'
"""A shell's words. The mounts are in a namespace of the command's own: they go with it, however it ends."""
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "node_modules")


def debian_tree(suite: str = SUITE) -> Path:
    """Return the folder that a release's copies are made from."""
    if os.geteuid() != 0:
        missing("debootstrap and chroot need root")
    program = require_program("debootstrap", "debootstrap")
    tree = Path(tempfile.gettempdir()) / f"swim-tests-debian-{suite}"
    if not tree.exists():
        unfinished = tree.with_suffix(f".{os.getpid()}")
        words = ["unshare", "--mount", program, "--variant=minbase", f"--include={PACKAGES}", suite, str(unfinished)]
        done = subprocess.run(words, check=False, capture_output=True, timeout=3 * INSTALL_SECONDS)
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            missing(f"debootstrap failed: {done.stdout.decode(errors='replace')[-300:]}")
        unfinished.rename(tree)
    return tree


def copy_project(to: Path) -> None:
    """Copy the sources as a deployment does."""
    shutil.copytree(ROOT, to, ignore=LEFT_OUT, dirs_exist_ok=True)


class DebianRoot:
    """Runs commands inside the folder, each with its own mounts. Network and processes are this machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before every command."""
        return ("unshare", "--mount", "sh", "-c", ENTER, str(self.folder))

    def words(self, *words: str) -> list[str]:
        return [*self.prefix, *words]

    def run(self, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to completion; it must succeed."""
        done = subprocess.run(
            self.words(*words), env=dict(environ or plain_environ()), capture_output=True, text=True,
            timeout=INSTALL_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        return done


def plain_environ() -> dict[str, str]:
    """Return an environment with nothing of ours but how packages are found."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **kept}


@contextmanager
def debian_root(suite: str = SUITE) -> Iterator[DebianRoot]:
    """Provide a fresh copy, removed at the end. Its mounts are invisible to others."""
    folder = Path(tempfile.mkdtemp(prefix="swim-debian-"))
    try:
        subprocess.run(["cp", "-a", f"{debian_tree(suite)}/.", str(folder)], check=True)
        shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
        for trusted in ("etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
            if Path("/", trusted).exists():
                shutil.copy(Path("/", trusted), folder / trusted)
        for settings in Path("/etc/apt/apt.conf.d").glob("*"):  # how this machine fetches packages
            if "Acquire::" in settings.read_text("utf-8", "replace"):
                shutil.copy(settings, folder / "etc" / "apt" / "apt.conf.d")
        root = DebianRoot(folder)
        tried = subprocess.run(root.words("true"), check=False, capture_output=True)
        if tried.returncode != 0:
            missing(f"unshare --mount or mount --bind is refused: {tried.stderr.decode(errors='replace').strip()}")
        yield root
    finally:
        shutil.rmtree(folder, ignore_errors=True)
