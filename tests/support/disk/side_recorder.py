"""``swimctl record`` beside a daemon on a failing disk, and ``swimctl replay`` of what was recorded before."""

from __future__ import annotations

import os
import signal
import time
import zlib
from pathlib import Path

from support.disk import home_files
from support.disk.forked_daemon import ForkedDaemon
from support.disk.judgement import Judgement
from support.disk.ledger import Ledger, event_key, is_content

PATIENCE_SECONDS = 60.0
INTERRUPTED = 130


class SideRecorder:
    """Records everything from an event on; ended with Ctrl-C."""

    def __init__(self, daemon: ForkedDaemon, after: str) -> None:
        self.path = daemon.root / home_files.RECORDING
        self._output = daemon.root.parent / "recorder.output"
        words = ["record", str(self.path), "--after", after, "--channel", "flight.departed", "--yes"]
        self._pid: int | None = daemon.spawn(words, self._output)

    def judge(self, ledger: Ledger, after: str) -> Judgement:
        """Wait until everything acknowledged has arrived, end it, and check the file. The disk works by now."""
        wanted = {
            name for name, event_id in ledger.acknowledged.items() if event_key(event_id) > event_key(after)
        }  # fmt: skip
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not wanted <= self._names() and time.monotonic() < deadline:
            time.sleep(0.1)
        code = self.end()
        judgement = Judgement()
        rows = home_files.recorded_events(self.path.read_bytes())
        names = [_name_of(row) for row in rows]
        told = self._output.read_text("utf-8", "replace")[-200:]
        fault = "lost_silently" if code == INTERRUPTED else "lost_but_told"
        judgement.find(fault, len(wanted - set(names)), f"recorder, exit {code}, {told}")
        judgement.find("stuck", code != INTERRUPTED, f"recorder, exit {code}, {told}")
        judgement.find("repeated", len(names) - len(set(names)), "recorded twice")
        judgement.find("wrong_content", sum(not _is_right(row) for row in rows), "recorded otherwise")
        return judgement

    def end(self) -> int | None:
        """End it; return its exit code, or None if it had already ended."""
        pid, self._pid = self._pid, None
        if pid is None:
            return None
        os.kill(pid, signal.SIGINT)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _names(self) -> set[str]:
        try:
            return {_name_of(row) for row in home_files.recorded_events(self.path.read_bytes())}
        except (OSError, EOFError, zlib.error, ValueError):
            return set()  # in the midst of a block


def replay(daemon: ForkedDaemon, recording: Path, events: int) -> Judgement:
    """Replay a sound recording to a file while reads fail: either all of it, or the failure is reported."""
    judgement = Judgement()
    played = daemon.root.parent / "played.jsonl"
    played.unlink(missing_ok=True)
    code, told = daemon.run(["replay", str(recording), "--speed", "0", "--output", str(played)])
    lines = len(played.read_bytes().splitlines()) if played.exists() else 0
    judgement.find("lost_silently", events - lines if code == 0 else 0, f"replay, {lines} of {events}: {told[-200:]}")
    judgement.find("wrong_content", code != 0 and "damaged" in told, f"trouble taken for damage: {told[-200:]}")
    return judgement


def _name_of(row: dict[str, object]) -> str:
    data = row["data"]
    return str(data.get("callsign")) if isinstance(data, dict) else ""


def _is_right(row: dict[str, object]) -> bool:
    data = row["data"]
    return isinstance(data, dict) and is_content(data)
