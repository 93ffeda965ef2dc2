"""What every test stands on."""

from __future__ import annotations

import signal
from collections.abc import Generator

import coverage
import pytest
from hypothesis import HealthCheck, settings
from support.unmeasured import unmeasured

# Whether a test is right does not depend on how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs under test: a shell starts what it puts into the background with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage of a test, its fixtures and its processes where it is marked so."""
    if item.get_closest_marker("unmeasured") is None:
        return (yield)
    with unmeasured():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write what coverage measured before xdist is told that this worker has finished.

    xdist kills a worker that takes longer than ten seconds to end. Writing the data of a whole run at exit can take
    that long on a busy machine, and a fourth of it would be missing without a word.
    """
    if (measuring := coverage.Coverage.current()) is not None:
        measuring.stop()
        measuring.save()
