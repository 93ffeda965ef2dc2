"""One run of ``swimctl``: the global options and what follows from them. Commands get theirs from ``invocation_of``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from swimctl import standard_streams
from swimctl.errors import OutputLost
from swimctl.output import Output, is_unread

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig
    from swim_server.daemon.home import Home

    from swimctl.client.control import ControlClient
    from swimctl.contexts import Context


class Remote(NamedTuple):
    """The address of a service, and the key for it."""

    url: str
    api_key: str | None


@dataclass(frozen=True)
class Invocation:
    """The global options and the environment. Everything else is looked up when it is first needed."""

    config_path: Path | None = None
    debug: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    context: tuple[str, Context] | None = None
    """The context that is an address, with its name. A context that is a home has become ``SWIM_HOME``."""

    @property
    def home(self) -> Home:
        """The folder of this installation's state. Raises WrongUsage if a context names another machine."""
        from swim_server.daemon.home import Home

        if self.context is not None:
            from swimctl.errors import WrongUsage

            name, context = self.context
            raise WrongUsage(
                f"the context {name} is {context.url}, but this command works only on a service on this machine",
                "swimctl context use --none, or name a context that is a home",
            )
        return Home.default(self.environ)

    def remote(self, url: str | None) -> Remote | None:
        """Return the remote service named by ``--url`` or the context; None: use this machine's.

        Its key is the context's, otherwise SWIM_API_KEY; None if there is none. Raises CommandFailed.
        """
        if url is None and self.context is not None:
            from swimctl.contexts import key_of

            name, context = self.context
            return Remote(str(context.url), key_of(name, context))
        return None if url is None else Remote(url, self.environ.get("SWIM_API_KEY"))

    def load_config(self, overrides: Mapping[str, object] | None = None, *, home: Path | None = None) -> LoadedConfig:
        """Load the effective configuration; ``home``: as the service of that home does. Raises ConfigError (exit 2)."""
        from swim_server.config import load

        return load(self.config_path, environ=self.environ, overrides=overrides or {}, home=home or self.home.path)

    def connect(self, *, light: bool = False) -> ControlClient:
        """Open the running daemon's control socket. Raises DaemonNotRunning (exit 3).

        ``light``: connects faster; for a few requests that are answered at once, or a stream that is read all the time.
        """
        from swimctl.client.control import ControlClient

        return ControlClient.connect(self.home, light=light)

    def output(self, *, as_json: bool = False) -> Output:
        """Return standard output, set up for people, for scripts, or for JSON.

        Raises OutputLost if nothing can be written: call this before changing anything.
        """
        problem = standard_streams.write_problem(sys.stdout)
        if problem is not None:
            raise OutputLost(problem)
        return Output.to(sys.stdout, self.environ, as_json=as_json)

    def data_output(self, *, as_json: bool = False) -> Output:
        """Return standard output for something that is shown only once, or is a command's whole purpose.

        Raises OutputLost if it is closed or its reader has gone: call this before changing anything.
        """
        if 1 in standard_streams.closed:
            raise OutputLost("it is closed")
        output = self.output(as_json=as_json)
        if is_unread(output.stream):
            raise OutputLost("its reader has gone away")
        return output

    def messages(self) -> Output:
        """Return standard error, for messages, questions and progress."""
        return Output.to(sys.stderr, self.environ)


def invocation_of(context: Any) -> Invocation:
    """Return the invocation that a command's ``typer.Context`` belongs to."""
    found = context.find_object(Invocation)
    return found if isinstance(found, Invocation) else Invocation()
