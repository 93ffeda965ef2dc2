"""Builds the SDKs that need it, once per state of their sources, in a folder below the user's temporary folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

SDK = Path(__file__).parents[2]
ADAPTERS = SDK / "conformance" / "adapters"
BUILD_SECONDS = 600
ESBUILD = "esbuild@0.25.9"
RUNTIME = "dotnetcore2==3.1.23"
OPENSSL = "psycopg2-binary==2.9.3"
"""A wheel that contains OpenSSL 1.1, without which .NET Core 3.1 can't open a connection."""


class Unavailable(Exception):
    """A client can't be run on this machine."""

    def __init__(self, what: str, advice: str) -> None:
        self.what = what
        self.advice = advice
        super().__init__(what, advice)

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


def program(name: str, package: str) -> str:
    """Return the path of a program. Raises Unavailable."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed", f"apt-get install {package}")
    return found


def javascript() -> Path:
    """Build the JavaScript package; return its folder, with ``dist`` in it."""
    npm, node = program("npm", "npm"), program("node", "nodejs")
    source = SDK / "javascript"
    sources = [*source.glob("src/*"), *source.glob("types/*"), source / "build.mjs", source / "package.json"]

    def build(folder: Path) -> None:
        for path in sources:
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        for name in ("README.md", "LICENSE"):
            shutil.copy(source / name, folder)
        _run([npm, "install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", ESBUILD], folder)
        _run([node, "build.mjs"], folder)

    return _built("javascript", sources, build)


def npm_package(name: str) -> Path:
    """Install an npm package, named with its version; return its folder."""
    npm = program("npm", "npm")

    def build(folder: Path) -> None:
        _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", name], folder)

    return _built(name.replace("@", "-"), [], build, name) / "node_modules" / name.partition("@")[0]


def java(program_source: Path = ADAPTERS / "JavaSdk.java") -> str:
    """Compile the Java SDK and a program of it, by default its adapter; return the class path."""
    javac, maven = program("javac", "default-jdk-headless"), program("mvn", "maven")
    source = SDK / "java"
    sources = [*source.glob("src/main/java/**/*.java"), program_source, source / "pom.xml"]

    def build(folder: Path) -> None:
        words = ["-q", "-B", "-f", str(source / "pom.xml"), f"-DoutputDirectory={folder / 'lib'}"]
        _run([maven, *words, "-DincludeScope=runtime", "dependency:copy-dependencies"], folder)
        code = [str(path) for path in sources if path.suffix == ".java"]
        _run(
            [javac, "--release", "11", "-nowarn", "-cp", f"{folder}/lib/*", "-d", str(folder / "classes"), *code],
            folder,
        )

    folder = _built(f"java-{program_source.stem}", sources, build)
    return f"{folder}/classes:{folder}/lib/*"


def go(source: Path) -> Path:
    """Compile a Go program of this folder; return its path."""
    compiler = program("go", "golang-go")

    def build(folder: Path) -> None:
        for path in source.iterdir():
            shutil.copy(path, folder)
        _run([compiler, "mod", "tidy"], folder)
        _run([compiler, "build", "-o", "program", "."], folder)

    return _built(source.name, source.iterdir(), build) / "program"


_REFERENCES = (
    "System.Private.CoreLib", "System.Runtime", "System.Runtime.Extensions", "System.Console", "System.Text.Json",
    "System.Net.WebSockets", "System.Net.WebSockets.Client", "System.Collections", "System.Threading.Tasks",
    "System.Threading", "System.Threading.Thread", "System.Net.Primitives", "System.Memory", "System.Linq",
    "System.Private.Uri", "System.Collections.Concurrent", "System.Text.RegularExpressions",
    "System.Diagnostics.TraceSource", "System.Text.Encoding.Extensions", "System.ComponentModel.Primitives",
    "System.Net.Requests", "Microsoft.Win32.Primitives", "System.Net.Sockets", "System.IO.FileSystem",
)  # fmt: skip
_SETTINGS = """{"runtimeOptions": {"tfm": "netcoreapp3.1", "framework": {"name": "Microsoft.NETCore.App",
"version": "3.1.0"}, "configProperties": {"System.Globalization.Invariant": true}}}"""


def csharp(python: str, program_source: Path = ADAPTERS / "CsharpSdk.cs") -> tuple[Path, Path, Path]:
    """Compile the C# SDK and a program that uses it, by default its adapter, with Mono's compiler.

    Returns the program, the .NET Core 3.1 runtime that runs it, and the folder of the OpenSSL that the runtime needs.
    """
    mcs = program("mcs", "mono-mcs")
    runtime = _runtime(python)
    assemblies = runtime / "dotnetcore2/bin/shared/Microsoft.NETCore.App/3.1.23"
    sources = [*(SDK / "csharp/SwimClient").glob("*.cs"), program_source]
    name = program_source.stem

    def build(folder: Path) -> None:
        references = [f"-r:{assemblies}/{name}.dll" for name in _REFERENCES]
        options = ["-langversion:7.2", "-nostdlib", "-noconfig", "-nowarn:1702", f"-out:{folder}/{name}.dll"]
        _run([mcs, *options, *references, *map(str, sources)], folder)
        (folder / f"{name}.runtimeconfig.json").write_text(_SETTINGS, "utf-8")

    folder = _built(f"csharp-{name}", sources, build)
    return folder / f"{name}.dll", runtime / "dotnetcore2/bin/dotnet", runtime / "ssl"


def _runtime(python: str) -> Path:
    def build(folder: Path) -> None:
        common = [
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            str(folder),
        ]
        _run([python, "-m", "pip", "download", *common, RUNTIME], folder)
        _run([python, "-m", "pip", "download", *common, "--python-version", "3.8", OPENSSL], folder)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            wheel.unlink()
        (folder / "dotnetcore2/bin/dotnet").chmod(0o755)
        (folder / "psycopg2_binary.libs").rename(folder / "ssl")
        for name in ("libssl", "libcrypto"):
            (folder / f"ssl/{name}.so.1.1").symlink_to(next((folder / "ssl").glob(f"{name}-*.so.1.1")).name)

    return _built("dotnet", [], build, f"{RUNTIME} {OPENSSL}")


def _built(name: str, sources: Iterable[Path], build: Callable[[Path], None], also: str = "") -> Path:
    """Return the folder built from these sources; one process builds while others wait."""
    digest = hashlib.sha256(also.encode())
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    home = Path(tempfile.gettempdir()) / f"swim-conformance-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    folder = home / f"{name}-{digest.hexdigest()[:12]}"
    with (home / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            (folder / ".built").touch()
    return folder


def _run(words: Sequence[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(words[:3])} failed", (done.stderr or done.stdout)[-600:])
