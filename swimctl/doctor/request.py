"""What ``swimctl doctor`` was asked for: its options as one value, and which of them exclude each other."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from swimctl.errors import WrongUsage


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    JSON = "json"
    NAGIOS = "nagios"
    PROMETHEUS = "prometheus"


def chosen_format(format: Format, *, as_json: bool) -> Format:
    """Return the format that ``--format`` and ``--json`` ask for together. Raises WrongUsage."""
    if as_json and format not in (Format.TEXT, Format.JSON):
        raise WrongUsage(f"--json and --format {format} exclude each other", "see: swimctl doctor --help")
    return Format.JSON if as_json else format


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of ``swimctl doctor``, each named like its option."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    list_checks: bool
    fix: bool
    yes: bool
    strict: bool
    format: Format
    explain: str | None
    save_facts: Path | None
    facts: Path | None
    watch: bool
    on_change: str | None
    interval: float
    bundle: Path | None
    url: str | None
    deep: bool
    expect_version: str | None
    timeout: float | None
    node: str | None = None
    api_key: str | None = None
    """The key for ``url``, if a context has one; never an option."""

    def refuse_contradictions(self) -> None:
        """Raise WrongUsage for options that exclude each other, and for values that can't be used."""
        if self.watch and (self.fix or self.bundle or self.save_facts or self.facts or self.explain):
            others = "--fix, --bundle, --explain, --save-facts or --facts"
            raise WrongUsage(f"--watch can't be combined with any of {others}", "see: swimctl doctor --help")
        if self.on_change is not None and not self.watch:
            raise WrongUsage("--on-change needs --watch", "swimctl doctor --watch --on-change COMMAND")
        if self.on_change is not None:
            check_program(self.on_change)
        if self.url is not None and (self.fix or self.bundle is not None):
            raise WrongUsage("--fix and --bundle work only on this machine's service", "leave out --url")
        if self.url is not None and not self.url.startswith(("ws://", "wss://")):
            raise WrongUsage(
                f"--url: {self.url!r} is not a ws:// or wss:// address", "like wss://swim.example.org/api/swim/v1/ws"
            )
        if self.url is not None and _is_several(self.url):
            raise WrongUsage("--url: doctor checks one address at a time", "name one of them with --url")
        here = (self.fix, self.bundle, self.save_facts, self.facts, self.explain, self.watch, self.url, self.deep)
        if self.node is not None and any(here):
            others = "--fix, --bundle, --explain, --save-facts, --facts, --watch, --url or --deep"
            raise WrongUsage(f"--node can't be combined with any of {others}", "run doctor with these on that node")
        if self.facts is not None and (self.fix or self.bundle or self.save_facts or self.url or self.deep):
            raise WrongUsage(
                "--facts evaluates what was observed: it observes and fixes nothing", "leave out the others"
            )
        if self.bundle is not None:
            from swimctl.doctor.bundle import archive_kind

            archive_kind(self.bundle)


def _is_several(url: str) -> bool:
    from swimctl.client.connect import split_urls

    return len(split_urls(url)) > 1


def check_program(command: str) -> None:
    """Refuse a program for ``--on-change`` that can't be run. Raises WrongUsage."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise WrongUsage(f"--on-change: {command!r} can't be split into words: {error}", "check its quotes") from None
    if not words:
        raise WrongUsage("--on-change names no program", "like --on-change '/usr/local/bin/notify --to ops'")
    if shutil.which(words[0]) is None:
        raise WrongUsage(f"--on-change: there is no program {words[0]!r} that can be run", "give its whole path")
