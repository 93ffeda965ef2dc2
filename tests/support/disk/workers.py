"""Several processes that judge concurrently, so that waiting costs nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

TOLD_AGAIN_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def in_workers(count: int, work: Callable[[int], None]) -> None:
    """Fork this many processes, let each do its part, and wait for all. Raises SystemExit if one failed.

    Must be called while no other thread is running. A signal, or an exception here, ends them all.
    """
    pids: set[int] = set()
    try:
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                _be_a_worker(work, number)
            pids.add(pid)
        failed = 0
        while pids:
            pid, status = os.wait()
            if pid in pids:
                pids.discard(pid)
                failed += status != 0
        if failed:
            raise SystemExit(f"{failed} of {count} workers failed: see above")
    finally:
        while pids:  # what a handler raises is lost in some places of Python: told again until it is heard
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            time.sleep(TOLD_AGAIN_SECONDS)
            pids -= {pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0]}


def _be_a_worker(work: Callable[[int], None], number: int) -> None:
    code = 1
    try:
        end_with_parent(signal.SIGTERM)
        work(number)
        code = 0
    except SystemExit:
        code = 0  # told to end: what it has judged is in the results
    except BaseException:  # noqa: BLE001 - told here; the parent ends the others' run too
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end_with_parent(how: signal.Signals) -> None:
    """Ask the kernel for this signal when the parent process ends, however it does. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(how))
