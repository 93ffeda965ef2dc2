"""``swimctl reload``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.invocation import Invocation, invocation_of

app = single_command()


@app.command()
def reload(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Apply a changed configuration without dropping clients.

    Tiers, limits, log level and sources change at once; settings that need a restart are named. An invalid
    configuration changes nothing and exits with 2.

    \b
    Examples:
      swimctl reload
      swimctl config set tiers.public.connections 10 && swimctl reload
    """
    from swim_server.daemon.control.documents.process import Reloaded
    from swim_server.daemon.control.documents.status import Status

    from swimctl.client.answers import read_answer
    from swimctl.client.session import RpcFailed
    from swimctl.errors import WrongUsage

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with invocation.connect() as control:
        running = control.ask("status", Status)
        try:
            answer = control.call("reload", timeout=30.0)
        except RpcFailed as failed:
            if failed.code == INVALID_CONFIGURATION:
                raise WrongUsage(failed.problem, "nothing was changed; correct it and reload again") from None
            raise
    warn_of_other_files(invocation, running.config_files)
    if as_json:
        output.document(answer)
        return
    found = read_answer("reload", answer, Reloaded)
    output.line(f"changed: {', '.join(found.changed)}" if found.changed else "nothing changed")
    if found.needs_restart:
        output.line(f"needs swimctl restart: {', '.join(found.needs_restart)}")


def warn_of_other_files(invocation: Invocation, running: Sequence[str]) -> None:
    """Warn if the daemon reads other configuration files than this command would, for example an older release's."""
    from swim_server.config import ConfigError
    from swim_server.config.files import LOCAL_NAME

    try:
        ours = [str(path.resolve()) for path in invocation.load_config().files]
    except ConfigError as error:
        ours = [str(problem.setting) for problem in error.problems[:1]]
    # A swim.local.toml beside the file is read at a reload, even if it was not there when the daemon was started.
    here, there = ([each for each in found if not each.endswith(f"/{LOCAL_NAME}")] for found in (ours, running))
    if here and here != [os.path.realpath(each) for each in there]:
        theirs = ", ".join(running) or "no file, the defaults"
        messages = invocation.messages()
        messages.line(f"the daemon's configuration is {theirs}; here it would be {', '.join(ours)}")
        messages.line("to change that: swimctl stop, then swimctl serve with --config FILE")


INVALID_CONFIGURATION = -32602
"""The daemon's error code if the configuration is invalid: the parameters of the request are the files."""
