"""The daemon's process: lock, log, limits, loop, signals. ``serve`` blocks until the service has stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from swim_server import logs
from swim_server.concurrency.allocator import limit_idle_memory
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.concurrency.event_loop import THREAD_TURN_SECONDS, loop_factory
from swim_server.config import LoadedConfig, LoggingConfig
from swim_server.daemon.control.methods import Methods
from swim_server.daemon.control.reload import Reloader
from swim_server.daemon.desk.desk import Desk
from swim_server.daemon.desk.trends import Trends
from swim_server.daemon.fingerprint import check_syntax, take_fingerprint
from swim_server.daemon.handover.channel import Offer, take_offer
from swim_server.daemon.handover.inherited import InheritedProcess
from swim_server.daemon.home import Home
from swim_server.daemon.launch import Launch
from swim_server.daemon.lockfile import AlreadyRunning, Lockfile, LockInfo
from swim_server.daemon.log_stream import LogStream
from swim_server.daemon.notifier import Notifier
from swim_server.daemon.service import Service
from swim_server.daemon.start_log import How, Start, record_start
from swim_server.daemon.upkeep.other_holder import refuse_second_process
from swim_server.daemon.wiring import build_components, log_failure
from swim_server.gateway.rpc import Rpc


def serve(
    loaded: LoadedConfig,
    home: Home,
    *,
    ready: Callable[[LockInfo], None] | None = None,
    reload_config: Callable[[], LoadedConfig] | None = None,
) -> None:
    """Run the service in this process until SIGTERM, SIGINT or ``stop`` over the control socket.

    ``ready`` is called once clients can connect. Raises HomeError, AlreadyRunning, CannotListen, StoreError, OSError;
    what was begun has been undone by then.
    """
    home.prepare()
    lockfile = Lockfile(home.lockfile)
    offer = take_offer(os.environ)
    how: How = "restart"
    if offer is None:
        lockfile.acquire()
        _refuse_second(home, lockfile)
        how = "after-crash" if home.lockfile.stat().st_size else "start"
    else:
        lockfile.adopt(offer.lock)
    limit_idle_memory()
    sys.setswitchinterval(THREAD_TURN_SECONDS)
    os.umask(0o077)
    launch = Launch.of_this_process(os.environ)
    with contextlib.suppress(OSError):  # a full disk is no reason not to serve; doctor reports it
        note = Start(
            time.time(), os.getpid(), how, uid=os.geteuid(), arguments=launch.arguments, supervisor=launch.supervisor
        )
        record_start(home.starts, note)
    stream = open_log(loaded.config.logging, home)
    logs.configure(loaded.config.logging.level, loaded.config.logging.format, stream)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(loaded, home, lockfile, offer, ready or _nobody_waits, reload_config, stream, launch))


async def _run(
    loaded: LoadedConfig,
    home: Home,
    lockfile: Lockfile,
    offer: Offer | None,
    ready: Callable[[LockInfo], None],
    reload_config: Callable[[], LoadedConfig] | None,
    log_stream: LogStream,
    launch: Launch,
) -> None:
    if offer is not None:
        check_syntax()
    loop, rpc = asyncio.get_running_loop(), Rpc(log_failure)
    notifier = Notifier.from_environment(os.environ)
    components = build_components(loaded, home, loop, rpc=rpc, notifier=notifier, log_stream=log_stream)
    inherited = InheritedProcess(offer) if offer is not None else None
    service = Service(components, lockfile, take_fingerprint(), inherited=inherited, launch=launch)
    reloader = Reloader(components, reload_config, service.status_line)
    Methods(service, reloader).register(rpc)
    if loaded.config.pages.enabled:
        trends = Trends(components, clock=SYSTEM_CLOCK)
        Desk(service, rpc, trends).register()
        components.tasks.start(trends.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.request_stop)
    # At a terminal a hangup means the terminal is gone; otherwise it is a request to restart with what is on disk.
    # If it was ignored at the start, as by nohup, it stays ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, service.request_stop if launch.has_terminal else service.request_restart)
    loop.add_signal_handler(signal.SIGUSR1, reloader.request)
    loop.add_signal_handler(signal.SIGUSR2, log_stream.reopen)
    await service.run(ready)


def _refuse_second(home: Home, lockfile: Lockfile) -> None:
    try:
        refuse_second_process(home)
    except AlreadyRunning:
        lockfile.release(keep_lock=True)
        raise


def open_log(config: LoggingConfig, home: Home) -> LogStream:
    """Open the log: the configured file, else standard error. Raises OSError."""
    limits = {"max_bytes": config.max_bytes, "keep_files": config.keep_files}
    if config.file is not None:
        return LogStream.open(Path(config.file), **limits)
    return LogStream.standard_error(home.log, **limits)


def _nobody_waits(info: LockInfo) -> None:
    """Do nothing: no one waits for the start."""
