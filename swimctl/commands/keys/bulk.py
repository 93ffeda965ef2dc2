"""``swimctl keys import | harden``: commands that change many keys at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from swimctl.arguments.files import told_with_its_name
from swimctl.commands.keys.options import Json, Yes, app
from swimctl.errors import WrongUsage
from swimctl.invocation import invocation_of
from swimctl.key_access import announce_changes, open_store, utc_now, warn_if_unaudited
from swimctl.progress import Progress
from swimctl.text import plural


@app.command("import")
def import_keys(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header line, or JSON; - is standard input.")],
    as_json: Json = False,
) -> None:
    """Import existing keys. They are stored hashed; keys that are already known are not changed.

    Columns or fields: api_key, owner_name, and any of tier (default: from the key's prefix), owner_email, description,
    expires_at, created_at, is_active, ip_whitelist, allowed_sources, source_id, can_write, owner_cid. Either all keys
    are imported or none.

    \b
    Examples:
      swimctl keys import keys.csv
      swimctl keys import - --json < keys.json
    """
    from swim_server.keys.audit import operating_user
    from swim_server.keys.importing import InvalidImport, parse_keys

    invocation = invocation_of(context)
    try:
        with told_with_its_name(file, "nothing was imported"):
            text = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
        parsed = parse_keys(text)
    except InvalidImport as error:
        raise WrongUsage(f"{file}: {error}", "nothing was imported") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{file}: not UTF-8 text", "nothing was imported") from None
    output = invocation.output(as_json=as_json)
    with open_store(invocation) as store:
        from swim_server.keys.bulk import import_keys as import_into

        with Progress(invocation.messages(), f"importing {plural(len(parsed), 'key')}", is_one_piece=True):
            outcome = import_into(store, parsed, operating_user(), utc_now())
        warn_if_unaudited(invocation, store)
    if as_json:
        output.document({"imported": outcome.imported, "existing": outcome.existing})
    else:
        output.line(f"imported {len(outcome.imported)}, known already {len(outcome.existing)}")
        if str(file) != "-":
            invocation.messages().line(f"{file} still holds the keys: remove it when it is no longer needed")
    announce_changes(invocation, outcome.imported[:1])  # one makes the daemon forget all unknown keys


@app.command()
def harden(context: typer.Context, yes: Yes = False, as_json: Json = False) -> None:
    """Hash the keys that the former system stored in plain text. They stay valid, but other programs can no longer read
    them.

    \b
    Examples:
      swimctl keys harden
      swimctl keys harden --yes --json
    """
    from swim_server.keys.audit import operating_user
    from swim_server.keys.bulk import harden as harden_keys
    from swim_server.keys.bulk import plain_keys

    from swimctl.output import require_yes

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with open_store(invocation) as store:
        number = len(plain_keys(store))
        question = f"Hash {plural(number, 'key')} permanently? The former system will no longer be able to check them."
        if number:
            require_yes(question, yes=yes)
        hardened = harden_keys(store, operating_user(), utc_now()) if number else []
        warn_if_unaudited(invocation, store)
    if as_json:
        output.document({"hardened": hardened})
    else:
        output.line(f"hashed {plural(len(hardened), 'key')}" if hardened else "every key is already stored hashed")
