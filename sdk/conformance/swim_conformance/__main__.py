"""``python -m swim_conformance``: run the suite against a client, or play one script as a server."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from swim_conformance import matrix
from swim_conformance.adapter import Adapter, AdapterFailed
from swim_conformance.catalogue import CLIENTS, SDKS, Unavailable
from swim_conformance.runner import Result, run_all
from swim_conformance.scenario import Scenario, load
from swim_conformance.script import Script, ScriptError
from swim_conformance.scripted_server import ScriptedServer, describe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 1 if a client failed, 2 if something is missing or wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            asyncio.run(_serve(options.script, options.host, options.port))
            return 0
        return asyncio.run(_run(options))
    except (ScriptError, Unavailable, AdapterFailed, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m swim_conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run scenarios and print the matrix")
    run.add_argument("clients", nargs="*", metavar="CLIENT", help=f"of: {', '.join(CLIENTS)} (default: the SDKs)")
    run.add_argument("--adapter", metavar="COMMAND", help="an adapter of your own instead")
    run.add_argument("-k", dest="pattern", default="*", metavar="PATTERN", help="only scenarios with such a name")
    run.add_argument("--at-once", type=int, default=10, metavar="N", help="how many scenarios run side by side")
    run.add_argument("--markdown", action="store_true", help="print the matrix as a table for a page")
    serve = commands.add_parser("serve", help="play a script, or a scenario's server, to any client")
    serve.add_argument("script", type=Path)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0)
    return parser


async def _run(options: argparse.Namespace) -> int:
    scenarios = [one for one in load() if fnmatch(one.name, options.pattern)]
    if not scenarios:
        raise ScriptError(options.pattern, "no scenario has such a name")
    if options.adapter:
        commands = {"adapter": shlex.split(options.adapter)}
    else:
        unknown = set(options.clients) - set(CLIENTS)
        if unknown:
            raise ScriptError(sorted(unknown)[0], f"no such client; there are: {', '.join(CLIENTS)}")
        commands = {name: list(CLIENTS[name]()) for name in options.clients or SDKS}
    columns = {name: await run_client(words, scenarios, options.at_once) for name, words in commands.items()}
    for line in matrix.markdown(columns) if options.markdown else matrix.table(columns):
        print(line)
    found = matrix.problems(columns)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


async def run_client(words: Sequence[str], scenarios: Sequence[Scenario], at_once: int = 10) -> list[Result]:
    """Run scenarios against the adapter that this command starts."""
    async with Adapter(words) as adapter:
        return await run_all(adapter, scenarios, at_once=at_once)


async def _serve(path: Path, host: str, port: int) -> None:
    server = ScriptedServer(Script.load(path), on_entry=lambda entry: print(describe(entry), flush=True))
    await server.start(host, port)
    print(f"listening on {server.url}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())
