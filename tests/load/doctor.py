"""Doctor's figures: faults found, false alarms under load, seconds, and what it costs a daemon full of clients.

    python tests/load/doctor.py [--runs 50] [--clients 5000] [--load 500] [--rate 20] [--only faults,healthy,cost]

Faults: each of the tables is produced on a daemon of its own and doctor asked with its own time limits. Healthy: runs
beside clients that receive events all the time. Cost: the deliveries' latency without doctor, then with doctor run
one time after the other.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import support
from support.doctor_faults import AS_ROOT, Fault, Patient, copy_of_the_code, fired
from support.load_rig import table

TABLES = "doctor_faults_"


def tables() -> list[tuple[str, Fault]]:
    """Return every fault, with its table's name."""
    found = []
    for module in pkgutil.iter_modules(support.__path__):
        if module.name.startswith(TABLES):
            held = importlib.import_module(f"support.{module.name}")
            faults: Sequence[Fault] = held.FAULTS if hasattr(held, "FAULTS") else held.service_faults()
            found += [(module.name.removeprefix(TABLES), fault) for fault in faults]
    return found


def examine(patient: Patient, *words: str) -> tuple[dict[str, str], float]:
    """Run doctor once as a user would; return what fired, and how long the whole program took."""
    began = time.perf_counter()
    done = patient.swimctl("doctor", "--json", *AS_ROOT, *words, timeout=120)
    return fired(json.loads(done.stdout)), time.perf_counter() - began


def faults_found(folder: Path, wanted: str) -> None:
    """Produce every fault; print what was found, what else fired, and how long it took."""
    found, alarms, seconds, misses = 0, 0, [], []
    for number, (name, fault) in enumerate(tables()):
        if wanted not in ("all", name):
            continue
        place = folder / str(number)
        patient = Patient(place, copy_of_the_code(place / "code"), config=fault.config)
        try:
            with fault.produce(patient):
                told, took = examine(patient, *(() if "--timeout" in fault.words else fault.words))
            is_found, others = fault.fires <= set(told), set(told) - fault.fires - fault.follows
            found, alarms = found + is_found, alarms + bool(others)
            seconds.append(took)
            if not is_found or others:
                misses.append([name, fault.name, ", ".join(sorted(fault.fires)), json.dumps(told)[:200]])
        finally:
            patient.finish()
    table(
        "Faults",
        ["produced", "found", "with others besides", "seconds p50", "max"],
        [[len(seconds), found, alarms, *quantiles(seconds)]],
    )
    if misses:
        table("Otherwise than the table says", ["table", "fault", "should fire", "fired"], misses)


@contextmanager
def crowd(patient: Patient, clients: int, rate: float) -> Iterator[None]:
    """Run clients that receive events until the end."""
    process = bench(patient, clients, rate, 3600)
    try:
        while patient.status()["connections"]["total"] < clients:
            if process.poll() is not None:
                raise SystemExit(f"the load ended with {process.returncode}: {process.communicate()[1]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.communicate()


def bench(patient: Patient, clients: int, rate: float, seconds: float) -> subprocess.Popen[str]:
    words = ["bench", "--clients", str(clients), "--rate", str(rate), "--duration", str(seconds), "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "swimctl", *words], env=patient.environ, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=patient.folder,
    )  # fmt: skip


def healthy_runs(folder: Path, runs: int, clients: int, rate: float) -> None:
    """Run doctor on a healthy, busy daemon."""
    alarms: list[dict[str, str]] = []
    seconds = []
    with serving(folder) as patient, crowd(patient, clients, rate):
        for _ in range(runs):
            told, took = examine(patient)
            alarms += [told] if told else []
            seconds.append(took)
    title = f"A healthy daemon, {clients} clients, {rate:g} events/s to each"
    table(title, ["runs", "false alarms", "seconds p50", "max"], [[runs, len(alarms), *quantiles(seconds)]])
    for told in alarms:
        print(json.dumps(told))


def cost(folder: Path, clients: int, rate: float, seconds: float) -> None:
    """Measure the latency of deliveries without and with doctor."""
    rows = []
    with serving(folder) as patient:
        for name, is_examined in (("before", False), ("during", True), ("after", False)):
            count, figures = measured(patient, clients, rate, seconds, is_examined)
            latency = figures["latency_ms"]
            rows.append([name, count, *(latency[each] for each in ("p50", "p99", "max")), figures["lost"]])
    title = f"Deliveries to {clients} clients, {rate:g} events/s to each, doctor again and again"
    table(title, ["", "runs of doctor", "p50 ms", "p99 ms", "max ms", "lost"], rows)


def measured(
    patient: Patient, clients: int, rate: float, seconds: float, is_examined: bool
) -> tuple[int, dict[str, Any]]:
    process = bench(patient, clients, rate, seconds)
    is_over, count = threading.Event(), 0
    collected: list[str] = []

    def collect() -> None:
        collected.append(process.communicate()[0])
        is_over.set()

    reader = threading.Thread(target=collect)
    reader.start()
    while not is_over.is_set():
        if is_examined and patient.status()["connections"]["total"] >= clients:
            told, _ = examine(patient)
            count += 1
            if told:
                print(json.dumps(told))
        is_over.wait(0.5)
    reader.join()
    document: dict[str, Any] = json.loads(collected[0])
    return count, document


@contextmanager
def serving(folder: Path) -> Iterator[Patient]:
    patient = Patient(folder, copy_of_the_code(folder / "code"), config="[server]\nport = 0\n")
    try:
        patient.start(port=0)
        yield patient
    finally:
        patient.finish()


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return median and maximum."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[-1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--load", type=int, default=500)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--only", default="faults,healthy,cost")
    parser.add_argument("--table", default="all", help="process, service: one of the tables of faults")
    options = parser.parse_args()
    wanted = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="swim-load-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[Path], None]] = {
            "faults": lambda place: faults_found(place, options.table),
            "healthy": lambda place: healthy_runs(place, options.runs, options.load, options.rate),
            "cost": lambda place: cost(place, options.clients, options.rate, options.seconds),
        }
        for part in wanted:
            place = folder / part
            place.mkdir()
            parts[part](place)


if __name__ == "__main__":
    main()
