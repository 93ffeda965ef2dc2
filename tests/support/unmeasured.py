"""Code that runs without coverage, here and in processes started meanwhile."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ASKING = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage starts in a new process."""


@contextmanager
def unmeasured() -> Iterator[None]:
    """Run the block without coverage. Does nothing if coverage isn't measured."""
    trace, of_threads, config = sys.gettrace(), threading.gettrace(), os.environ.pop(_ASKING, None)
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        if config is not None:
            os.environ[_ASKING] = config
        threading.settrace(of_threads)
        sys.settrace(trace)
