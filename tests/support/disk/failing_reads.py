"""Looks at sound files again and again while the disk fails a part of its reads; prints what each look has said.

    failing_reads.py HISTORY KEYS SHARE SEED

Started with the library ``faults`` preloaded, whose rules it sets.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog
from sqlalchemy import text
from sqlalchemy.engine import URL
from support.disk.preload import FaultControl, Rule
from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.history import History
from swim_server.brokers.recovery import structure
from swim_server.brokers.recovery.inspection import check
from swim_server.brokers.recovery.salvage import read_account
from swim_server.brokers.retention import Retention
from swim_server.brokers.trouble import HistoryDamaged
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.event_id import ZERO
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlite import open_sqlite
from swim_server.state.checkpoint import encode
from swim_server.state.loading import newest_checkpoint
from swim_server.state.world import World

ATTEMPTS = 60
_SILENT = structlog.get_logger()
KEPT = Retention(1 << 40, 1 << 40, 1 << 40)


def main(history: Path, keys: Path, share: float) -> dict[str, Counter[str]]:
    """Inspect in each of the product's ways."""
    checkpoint = history.with_name("state.checkpoint")
    looks: dict[str, Callable[[], object]] = {
        "open": lambda: _open(history),
        "confirm": lambda: history_file.confirm_damage(history),
        "check": lambda: check(history).is_sound or "damaged",
        "pages": lambda: structure.find_damage(history) and "damaged",
        "names in pages": lambda: structure.find_damage(history, only_names=True) and "damaged",
        "account": lambda: "damaged" if read_account(history) is None else "",
        "keys": lambda: _ask(keys),
        "checkpoint": lambda: newest_checkpoint([checkpoint], "an epoch", ZERO, _SILENT) is None and "damaged",
    }
    checkpoint.write_bytes(encode(World(()), "an epoch"))
    said: dict[str, Counter[str]] = {}
    with_faults = FaultControl(Path(os.environ["SWIM_DISK_FAULTS"]))
    with_faults.set(
        [Rule("read", str(path.parent / f"{path.name}*"), "EIO", share) for path in (history, keys, checkpoint)]
    )
    for name, look in looks.items():
        said[name] = Counter(_said(look) for _ in range(ATTEMPTS))
    said["struck"] = Counter({"struck": with_faults.struck})
    with_faults.close()
    return said


def _open(path: Path) -> None:
    history = History(path, clock=SYSTEM_CLOCK, retention=KEPT)
    history.open()
    history.close()


def _ask(path: Path) -> None:
    database = open_sqlite(URL.create("sqlite", database=str(path)))
    try:
        database.read(lambda connection: connection.execute(text("SELECT count(*) FROM swim_api_keys")).scalar_one())
    finally:
        database.close()


def _said(look: Callable[[], object]) -> str:
    try:
        return "damaged" if look() == "damaged" else "sound"
    except (HistoryDamaged, StoreMisconfigured):
        return "damaged"
    except (BrokerUnavailable, StoreUnavailable, OSError, sqlite3.Error):
        return "trouble"


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))))
