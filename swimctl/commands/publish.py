"""``swimctl publish``."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl import standard_streams
from swimctl.app import single_command
from swimctl.arguments.files import told_with_its_name
from swimctl.arguments.subscriptions import Url, key_for
from swimctl.completion.words import event_types
from swimctl.errors import CommandError, CommandFailed, WrongUsage
from swimctl.invocation import Invocation, invocation_of
from swimctl.progress import Progress

if TYPE_CHECKING:
    from swimctl.client.publisher import Publisher, Report, Storing
    from swimctl.event_lines import NumberedEvent
    from swimctl.output import Output

app = single_command()


Type = Annotated[
    str | None, typer.Argument(metavar="TYPE", autocompletion=event_types, help="flight.departed, tmi.issued …")
]
Data = Annotated[str | None, typer.Option("--data", metavar="JSON", help="The event's data, a JSON object.")]
Timestamp = Annotated[str | None, typer.Option("--timestamp", metavar="TIME", help="Time of the event, RFC 3339.")]
EventId = Annotated[
    str | None,
    typer.Option("--event-id", metavar="NAME", help="Your own id for the event: a repeat within a day is not stored."),
]
File = Annotated[str | None, typer.Option("--file", metavar="F", help="File of JSON lines; - is standard input.")]
Force = Annotated[
    bool, typer.Option("--force", help="With TYPE: publish even if fields that clients expect are missing.")
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="Seconds to wait if the daemon becomes unavailable while publishing."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines: each event's id and type.")]


@app.command()
def publish(
    context: typer.Context,
    *,
    type: Type = None,
    data: Data = None,
    timestamp: Timestamp = None,
    event_id: EventId = None,
    file: File = None,
    force: Force = False,
    wait: Wait = 10.0,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Publish events, and print the id of each once it is stored, in order.

    One event by TYPE and --data, or many from a file with one {"type", "data", "timestamp"?, "event_id"?} per line. An
    acknowledged event survives a crash. If interrupted or refused part-way, exit code 1: the events whose ids were
    printed are stored.

    \b
    Examples:
      swimctl publish system.notice --data '{"text": "maintenance at 18:00Z"}'
      swimctl publish --file events.jsonl
      my-provider | swimctl publish --file - --json
      swimctl publish --context live --file events.jsonl
    """
    from swimctl.client.publisher import Publisher

    if (type is None) == (file is None) or (type is None) != (data is None):
        raise WrongUsage("publish takes either TYPE with --data JSON, or --file F", "see: swimctl publish --help")
    if type is not None and not force:
        check_fields(type, data or "")
    invocation = invocation_of(context)
    output, messages = invocation.data_output(as_json=as_json), invocation.messages()
    connect, nonce = _connector(invocation, url), f"swimctl-{secrets.token_hex(8)}"
    publisher = Publisher(connect, _reporter(output), nonce=nonce, patience_seconds=wait)
    with _batches(type, data, timestamp, event_id, file) as batches:
        publisher.open()
        try:
            with _errors_with_count(publisher, is_typed=type is not None):
                _publish_all(publisher, batches, output, messages)
        finally:
            publisher.close()
    if messages.is_terminal and type is None:
        repeats = f", {publisher.duplicates:,} stored before" if publisher.duplicates else ""
        messages.line(f"{publisher.stored:,} stored{repeats}")


def _publish_all(
    publisher: Publisher, batches: Iterator[list[NumberedEvent]], output: Output, messages: Output
) -> None:
    with publisher.interruptible(), Progress(messages, "publishing") as progress:
        for batch in batches:
            publisher.publish(batch)
            output.stream.flush()
            if not output.is_terminal:  # otherwise the ids show the progress
                progress.set(publisher.stored)


@contextmanager
def _errors_with_count(publisher: Publisher, *, is_typed: bool) -> Iterator[None]:
    """Add the number of stored events to every error; ``is_typed``: the only event was typed, not read from a file."""
    from swimctl.client.publisher import EventRefused, Interrupted
    from swimctl.event_lines import BadLine

    try:
        yield
    except Interrupted:
        raise CommandFailed(f"interrupted; {_count(publisher.stored)}") from None
    except BadLine as bad:
        raise CommandFailed(f"{bad}; {_count(publisher.stored)}") from None
    except BrokenPipeError:
        standard_streams.discard_output()
        raise CommandFailed(f"the reader of the ids has gone away; {_count(publisher.stored)}") from None
    except EventRefused as refused:
        if is_typed:
            raise WrongUsage(refused.reason) from None
        raise CommandFailed(f"{refused.problem}; {_count(publisher.stored)}") from None
    except CommandError as error:
        raise CommandFailed(f"{error.problem}; {_count(publisher.stored)}", error.next_step) from None


def _connector(invocation: Invocation, url: str | None) -> Callable[[], Storing]:
    remote = invocation.remote(url)
    if remote is None:
        return invocation.connect
    from swimctl.client.connect import to_url
    from swimctl.client.remote_publishing import to_remote

    return to_remote(to_url(remote.url, key_for(remote)))


@contextmanager
def _batches(
    type: str | None, data: str | None, timestamp: str | None, event_id: str | None, file: str | None
) -> Iterator[Iterator[list[NumberedEvent]]]:
    """Return the batches to store, from the arguments or the file."""
    from swimctl.event_lines import EventLines

    if type is not None:
        yield iter([[_event(type, data or "", timestamp, event_id)]])
    elif file == "-":
        yield EventLines(sys.stdin.fileno()).batches()
    else:
        assert file is not None, "either a type or a file was given"
        with told_with_its_name(file):
            descriptor = os.open(file, os.O_RDONLY)
        try:
            yield EventLines(descriptor).batches()
        except IsADirectoryError:
            raise CommandFailed(f"{file} is a folder, not a file of JSON lines") from None
        finally:
            os.close(descriptor)


def check_fields(type: str, data: str) -> None:
    """Raise WrongUsage if a typed event lacks fields that clients expect of its type."""
    from swim_server.protocol.payloads import missing_fields

    decoded = _decode(data)
    missing = missing_fields(type, decoded) if isinstance(decoded, dict) else []
    if missing:
        example = json.dumps(dict.fromkeys(missing, "…"), ensure_ascii=False)
        raise WrongUsage(
            f"--data: {type} has no {' and no '.join(missing)}", f"add it: {example}; or publish it anyway with --force"
        )


def _decode(data: str) -> object:
    try:
        decoded: object = json.loads(data)
    except ValueError as error:
        example = """quote it for the shell: --data '{"callsign": "DAL1"}'"""
        raise WrongUsage(f"--data is not JSON: {error}", example) from None
    return decoded


def _event(type: str, data: str, timestamp: str | None, event_id: str | None) -> NumberedEvent:
    from swimctl.event_lines import BadLine, parse_line

    row = {"type": type, "data": _decode(data), "timestamp": timestamp, "event_id": event_id}
    try:
        event = parse_line(1, json.dumps(row).encode())
    except BadLine as bad:
        raise WrongUsage(f"--{bad.reason}") from None
    assert event is not None, "the line is not empty"
    return event


def _reporter(output: Output) -> Report:
    def report(id: str, type: str, is_duplicate: bool) -> None:
        if output.as_json:
            row = {"id": id, "type": type, **({"duplicate": True} if is_duplicate else {})}
            output.stream.write(json.dumps(row) + "\n")
        else:
            output.stream.write(f"{id}\n")

    return report


def _count(stored: int) -> str:
    return "1 event is stored" if stored == 1 else f"{stored:,} events are stored" if stored else "nothing is stored"
