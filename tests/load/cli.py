"""The cost of a command until it has answered, compared with the bare interpreter and an older checkout.

    python tests/load/cli.py [--rounds 9] [--before CHECKOUT] [--only tail,status] [--instructions]

Processor time of a whole process, the median of the rounds, in turns with the other checkout. Each has a daemon
of its own, which knows one key and one event; the environment, its packages too, is this one. ``--instructions``
counts instructions with valgrind, once: those don't depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = "import sys; from swimctl.__main__ import main; sys.argv[0] = 'swimctl'; main()"
"""What the installed script does."""
EVENT = '{"program_id": 1, "program_type": "GDP", "airport": "KJFK"}'
COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "keys --help": ["keys", "--help"],
    "config show": ["config", "show"],
    "status": ["status"],
    "keys list": ["keys", "list"],
    "tail --last 1 --count 1": ["tail", "--last", "1", "--count", "1"],
}
TAB = {"_SWIMCTL_COMPLETE": "complete_bash", "COMP_WORDS": "swimctl keys li", "COMP_CWORD": "2"}
CASES = {
    "python -c pass": (["-c", "pass"], {}),
    **{f"swimctl {name}": (["-c", MAIN, *words], {}) for name, words in COMMANDS.items()},
    "swimctl keys li<TAB>": (["-c", MAIN], TAB),
}
LIMIT_SECONDS = 120.0
_COLLECTED = re.compile(r"Collected : (\d+)")


@contextmanager
def daemon_of(root: Path) -> Iterator[Mapping[str, str]]:
    """Run a checkout's daemon with a key and an event; yield the environment that its commands need."""
    with tempfile.TemporaryDirectory(prefix="swim-load-") as home:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "PYTHONDONTWRITE"))
        }
        environ |= {"SWIM_HOME": home, "XDG_CONFIG_HOME": home}
        environ["PYTHONPATH"] = os.pathsep.join(map(str, (root, root / "server", root / "sdk" / "python")))
        swimctl(environ, "serve", "--detach", "--port", "0")
        try:
            swimctl(environ, "keys", "create", "--tier", "public", "--owner", "a")
            swimctl(environ, "publish", "tmi.issued", "--data", EVENT)
            yield environ
        finally:
            swimctl(environ, "stop")


def swimctl(environ: Mapping[str, str], *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "swimctl", *words], env=environ, cwd=environ["SWIM_HOME"], check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS,
    )  # fmt: skip


def run(words: list[str], environ: Mapping[str, str]) -> float:
    """Run one command to completion; return its CPU time in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], env=environ, cwd=environ["SWIM_HOME"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def instructions(words: list[str], environ: Mapping[str, str]) -> float:
    """Run one command under valgrind; return its instructions in millions."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, *words],
        env=environ, cwd=environ["SWIM_HOME"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, check=True, timeout=10 * LIMIT_SECONDS,
    )  # fmt: skip
    found = _COLLECTED.search(done.stderr)
    assert found is not None, done.stderr[-500:]
    return int(found[1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--before", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--instructions", action="store_true", help="count instructions, in one round")
    parser.add_argument("--only", default="", help="part of a command's name; several with commas")
    options = parser.parse_args()
    parts = [*options.only.split(","), "pass"] if options.only else [""]
    cases = {name: case for name, case in CASES.items() if any(part in name for part in parts)}
    roots = {"now": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    measure, unit = (instructions, "M instructions") if options.instructions else (run, "ms of CPU")
    with ExitStack() as stack:
        environs = {name: stack.enter_context(daemon_of(root)) for name, root in roots.items()}
        for words, more in cases.values():  # a warm-up: byte code, file cache
            for environ in environs.values():
                run(words, {**environ, **more})
        measured: dict[str, dict[str, list[float]]] = {name: {side: [] for side in roots} for name in cases}
        for _ in range(1 if options.instructions else options.rounds):
            for name, (words, more) in cases.items():
                for side, environ in environs.items():
                    measured[name][side].append(measure(words, {**environ, **more}))
    show(measured, unit)


def show(measured: Mapping[str, Mapping[str, list[float]]], unit: str) -> None:
    """Print one line per command: its median, its multiple of an empty interpreter, and the ratio to before."""
    empty = statistics.median(measured["python -c pass"]["now"])
    for name, sides in measured.items():
        now = statistics.median(sides["now"])
        line = f"{name:<32}{now:>8.0f} {unit}{now / empty:>7.2f} x an empty Python"
        if "before" in sides:
            ratios = sorted(one / other for one, other in zip(sides["now"], sides["before"], strict=True))
            line += f"{statistics.median(ratios):>7.2f} of before ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line)


if __name__ == "__main__":
    main()
