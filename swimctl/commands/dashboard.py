"""``swimctl dashboard``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from pathlib import Path

app = single_command()

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")

FILE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>SWIM operations</title>
<body><form method="post" action="{action}"><input type="hidden" name="token" value="{token}">
<button>Open the operator's page</button></form><script>document.forms[0].submit()</script></body></html>
"""


@app.command()
def dashboard(
    context: typer.Context,
    *,
    print_token: Annotated[
        bool, typer.Option("--print", help="Print address and a token to be typed, and open nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: url, token, seconds.")] = False,
) -> None:
    """Open the operator's page in a browser: connections, sources, latency, keys, whether a restart is safe now.

    The browser opens a file that only you can read; it posts a one-time token that is valid for a minute and never part
    of an address. To use another machine's browser, run it with --print and type the token there.

    \b
    Examples:
      swimctl dashboard
      swimctl dashboard --print
    """
    from swim_server.daemon.desk.desk import DashboardToken

    from swimctl.client.session import RpcFailed
    from swimctl.errors import CommandFailed

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with invocation.connect() as control:
        url = page_url(str(control.info.url if control.info is not None else ""), "ops")
        try:
            made = control.ask("dashboard_token", DashboardToken)
        except RpcFailed as failed:
            raise CommandFailed(
                f"the daemon has no operator's page: {failed.problem}", "set pages.enabled = true, then swimctl restart"
            ) from None
    if as_json:
        output.document({"url": url, "token": made.token, "seconds": made.seconds})
        return
    if not print_token and open_in_browser(write_form(invocation.home.dashboard, url, made.token)):
        output.line(f"opened {url}")
        return
    output.line(url)
    output.line(made.token)
    invocation.messages().line(f"type the token there within {made.seconds} seconds; it is good once")


def page_url(socket_url: str, page: str) -> str:
    """Derive a page's address from the WebSocket address."""
    scheme, _, rest = socket_url.partition("://")
    return f"{'https' if scheme == 'wss' else 'http'}://{rest.partition('/')[0]}/{page}"


def write_form(path: Path, url: str, token: str) -> Path:
    """Write the file that posts a token, readable only by its owner."""
    from html import escape

    from swim_server.files.replacing import replace_durably

    replace_durably(path, FILE.format(action=escape(f"{url}/session"), token=escape(token)).encode(), mode=0o600)
    return path


def open_in_browser(path: Path | str) -> bool:
    """Open a file or an address in this user's browser; return False if there is no browser."""
    import webbrowser

    if not has_display():
        return False
    try:
        return webbrowser.open(path if isinstance(path, str) else path.as_uri())
    except webbrowser.Error:
        return False


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return True if a browser would have a window; a text browser in the terminal does not count."""
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environ
    return any(environ.get(name) for name in DISPLAYS)
