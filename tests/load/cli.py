"""How long the command line takes to answer, against the interpreter itself.

python tests/load/cli.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import typer'": ["-c", "import typer"],
    "swimctl --help": ["-m", "swimctl", "--help"],
    "swimctl --version": ["-m", "swimctl", "--version"],
    "swimctl keys --help": ["-m", "swimctl", "keys", "--help"],
    "swimctl config show": ["-m", "swimctl", "config", "show"],
    "swimctl keys list": ["-m", "swimctl", "keys", "list"],
    "swimctl status (none runs)": ["-m", "swimctl", "status"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="swim-load-") as home:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SWIM_")}
        environ |= {"SWIM_HOME": home}
        environ["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "sdk" / "python")))
        measured: dict[str, list[float]] = {name: [] for name in CASES}
        for words in CASES.values():  # a warm-up: byte code, file cache, the empty database
            run(words, environ)
        for _ in range(rounds):  # interleaved, so that a busy moment of the machine hits all alike
            for name, words in CASES.items():
                measured[name].append(run(words, environ))
    base = statistics.median(measured["python -c pass"])
    print(f"{'command':<30}{'median':>10}{'fastest':>10}{'slowest':>10}{'x pass':>9}   of {rounds} runs")
    for name, seconds in measured.items():
        median = statistics.median(seconds)
        figures = "".join(f"{1000 * value:>7.0f} ms" for value in (median, min(seconds), max(seconds)))
        print(f"{name:<30}{figures}{median / base:>9.1f}")


def run(words: list[str], environ: dict[str, str]) -> float:
    """Run one command to its end; answers how long it took in seconds."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
