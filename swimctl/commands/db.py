"""``swimctl db status | upgrade``: the key database's schema."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import command_group
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.errors import CommandFailed, ExitCode
from swimctl.invocation import invocation_of
from swimctl.key_access import open_database_of, read_database_of
from swimctl.progress import Progress

app = command_group("Compare and upgrade the key database's schema.")


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Compare the schema with what the code needs.

    Exit code 1 if a needed column is missing, so that no key can be checked.

    \b
    Examples:
      swimctl db status
      swimctl db status --json
    """
    from swim_server.keys.upgrading import REMEDY_FOR_LEFT, schema_status

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    with read_database_of(invocation) as database:
        found = None if database is None else schema_status(database)
    if found is None:
        document = {"database": "sqlite", "exists": False, "usable": True, "up_to_date": True}
        output.details([(name.replace("_", " "), value) for name, value in document.items()], document)
        invocation.messages().line("there is no key database yet; the first key creates it: swimctl keys create")
        return
    document = {
        "database": found.database,
        "exists": True,
        "usable": found.is_usable,
        "up_to_date": found.is_up_to_date,
        "revision": found.revision,
        "newest_revision": found.newest_revision,
        "missing": found.missing,
        "missing_needed": found.missing_needed,
        "not_permitted": found.not_permitted,
    }
    labels = [(name.replace("_", " "), value) for name, value in document.items() if name != "missing"]
    labels += [(f"missing in {table}", columns) for table, columns in found.missing.items()]
    output.details(labels, document)
    if found.missing_needed and found.revision is not None:
        invocation.messages().line(REMEDY_FOR_LEFT)
    elif not found.is_up_to_date:
        invocation.messages().line("add what is missing with: swimctl db upgrade (or see it with --sql)")
    if not found.is_usable:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def upgrade(
    context: typer.Context,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead of running them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add what is missing in the schema.

    Tables and nullable columns are added; nothing is dropped, renamed or rewritten.

    \b
    Examples:
      swimctl db upgrade --sql > upgrade.sql
      swimctl db upgrade
    """
    from swim_server.keys.upgrading import REMEDY_FOR_LEFT, upgrade_sql
    from swim_server.keys.upgrading import upgrade as upgrade_schema
    from swim_server.sql.sqlite import open_nothing

    invocation = invocation_of(context)
    output, messages = invocation.output(as_json=as_json), invocation.messages()
    if sql:
        with read_database_of(invocation) as database:
            statements = upgrade_sql(database or open_nothing())
        if as_json:
            output.document({"sql": statements})
        elif statements:
            output.line(statements.rstrip())
        else:
            messages.line("there is nothing to do")
        return
    with open_database_of(invocation) as database, Progress(messages, "upgrading the schema", is_one_piece=True):
        upgraded = upgrade_schema(database)
    if as_json:
        output.document({"added": upgraded.added, "left": upgraded.left})
    for table, columns in () if as_json else upgraded.added.items():
        output.line(f"{table}: added {', '.join(columns)}")
    if upgraded.problem is not None:
        raise CommandFailed(upgraded.problem, REMEDY_FOR_LEFT)
    if not upgraded.added and not as_json:
        output.line("there was nothing to add")
