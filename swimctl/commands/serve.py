"""``swimctl serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.completion.words import sources
from swimctl.errors import AlreadyRunning, CommandFailed
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.lockfile import LockInfo

app = single_command()


@app.command()
def serve(
    context: typer.Context,
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return once clients can connect.")
    ] = False,
    host: Annotated[str | None, typer.Option("--host", metavar="H", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="P", help="Port; 0 picks a free one.")] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="TLS: the certificate with its chain, PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="TLS: its private key, PEM.")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="N", help="Processes that serve clients; auto: one per processor."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="S",
            autocompletion=sources,
            help="file:PATH, recording:PATH?speed=30&loop=false, simulator?flights=300.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --detach: print one JSON document about the daemon.")
    ] = False,
) -> None:
    """Run the service.

    Runs in the foreground until Ctrl-C, or in the background with --detach. Repeat --source for several sources; they
    replace those of the configuration.

    \b
    Examples:
      swimctl serve
      swimctl serve --detach --port 0 --source simulator
      swimctl serve --source "recording:snapshots?speed=30&loop=false"
      swimctl serve --workers auto
      swimctl serve --host 0.0.0.0 --source file:/var/spool/swim/events.json
      swimctl serve --debug
    """
    invocation = invocation_of(context)
    overrides = serve_overrides(invocation, host, port, source) | tls_overrides(tls_cert, tls_key)
    overrides |= worker_overrides(workers)
    if detach:
        words = serve_arguments(invocation, host, port, source) + tls_arguments(tls_cert, tls_key)
        words += ["--workers", workers] if workers is not None else []
        _serve_detached(invocation, overrides, words, as_json)
    else:
        _serve_here(invocation, overrides)


def serve_overrides(
    invocation: Invocation, host: str | None, port: int | None, source: list[str] | None
) -> dict[str, object]:
    """Convert the options to settings. Raises ConfigError with everything that is wrong with the sources."""
    from swim_server.config import parse_sources

    return {
        "server.host": host,
        "server.port": port,
        "sources": parse_sources(source) if source else None,
        "logging.level": "debug" if invocation.debug else None,
    }


def serve_arguments(invocation: Invocation, host: str | None, port: int | None, source: list[str] | None) -> list[str]:
    """Convert the same options back to arguments, for the background process."""
    words = ["--config", str(Path(invocation.config_path).absolute())] if invocation.config_path else []
    words += ["--debug"] if invocation.debug else []
    words += ["serve"]
    words += ["--host", host] if host is not None else []
    words += ["--port", str(port)] if port is not None else []
    for one in source or []:
        words += ["--source", one]
    return words


def tls_overrides(certificate: Path | None, key: Path | None) -> dict[str, object]:
    """Convert the TLS options to settings."""
    return {
        "server.tls_certificate": None if certificate is None else str(certificate),
        "server.tls_key": None if key is None else str(key),
    }


def tls_arguments(certificate: Path | None, key: Path | None) -> list[str]:
    """Convert the TLS options back to arguments."""
    words = ["--tls-cert", str(certificate.absolute())] if certificate is not None else []
    return words + (["--tls-key", str(key.absolute())] if key is not None else [])


def worker_overrides(workers: str | None) -> dict[str, object]:
    """Convert the number of workers to a setting."""
    number = int(workers) if workers is not None and workers.isascii() and workers.isdecimal() else workers
    return {"server.workers": number}


def _serve_here(invocation: Invocation, overrides: dict[str, object]) -> None:
    loaded = invocation.load_config(overrides)
    from swim_server.daemon.detach import ready_callback
    from swim_server.daemon.main import serve as run_service

    tell_parent = ready_callback()
    run_service(
        loaded,
        invocation.home,
        ready=tell_parent or _Greeting(invocation, has_sources=bool(loaded.config.sources)),
        reload_config=lambda: invocation.load_config(overrides),
    )


class _Greeting:
    """Tells the user at a terminal how to continue. Everything else is in the log."""

    def __init__(self, invocation: Invocation, *, has_sources: bool) -> None:
        self._messages = invocation.messages()
        self._has_sources = has_sources

    def __call__(self, info: LockInfo) -> None:
        if not self._messages.is_terminal:
            return
        self._messages.line(f"Clients connect to {info.url}; Ctrl-C stops the service.")
        if not self._has_sources:
            self._messages.line("It has no source: events come from swimctl publish, or try --source simulator.")


def _serve_detached(invocation: Invocation, overrides: dict[str, object], arguments: list[str], as_json: bool) -> None:
    invocation.load_config(overrides)  # report errors here, not in a log
    from swim_server.daemon.detach import StartFailed, serve_detached
    from swim_server.daemon.lockfile import AlreadyRunning as LockHeld
    from swim_server.daemon.lockfile import Lockfile

    home = invocation.home
    output = invocation.output(as_json=as_json)
    lockfile = Lockfile(home.lockfile)
    if lockfile.is_held():
        raise LockHeld(home.lockfile, lockfile.read())
    try:
        info = serve_detached(home, arguments)
    except StartFailed as failed:
        if failed.exit_code == AlreadyRunning.exit_code:
            raise LockHeld(home.lockfile, lockfile.read()) from None
        raise CommandFailed(str(failed)) from None
    if as_json:
        output.document({"pid": info.pid, "url": info.url, "home": str(home.path), "log": str(home.log)})
    else:
        output.line(f"serving at {info.url} (pid {info.pid})")
        if output.is_terminal:
            invocation.messages().line("Create a key: swimctl keys create --tier developer --owner me")
