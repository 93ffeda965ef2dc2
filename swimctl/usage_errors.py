"""Errors in the words typed, all worded alike: which option, what it must be, what it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

# Texts, compiled when they are used: every command imports this, and few are typed wrongly.
_INVALID = r"(?s)Invalid value for (?P<names>.+?): (?P<rest>.*)"
_NOT_A_NUMBER = r"(?s)(?P<value>'.*'|\S+) is not (?:a valid (?P<kind>integer|int|float)|in the range).*"
_RULES = (
    (r"Missing option (?P<names>.+?)\.?", "{names} is missing"),
    (r"Missing argument (?P<names>.+?)\.?", "{names} is missing"),
    (r"Option '?(?P<names>\S+?)'? requires (?:an argument|\d+ arguments)\.?", "{names} needs a value"),
    (r"Option '?(?P<names>\S+?)'? does not take a value\.?", "{names} takes no value"),
    (r"(?s)Got unexpected extra argument(?:s|\(s\))? \((?P<names>.*)\)\.?", "unexpected argument: {names}"),
    (r"(?s)No such option: (?P<names>\S+)(?: .*)?", "there is no option {names}"),
)


def no_such_command(path: str, words: Sequence[str], known: Iterable[str]) -> tuple[str, str]:
    """Return the error for an unknown command in ``path``, with the one that may have been meant."""
    near = get_close_matches(words[0], list(known), n=1, cutoff=0.5)
    hint = f"did you mean: {path} {near[0]}" if near else f"all commands: {path} --help"
    name = path.partition(" ")[2]
    return f"there is no command {' '.join([*([name] if name else []), words[0]])!r}", hint


def explain_usage(error: Any) -> tuple[str, str]:
    """Explain what is wrong with an option or argument, and where to read about it."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "swimctl"
    see = f"see: {path} --help"
    if type(error).__name__ == "NoArgsIsHelpError":
        return f"{path} needs a command", see
    message = " ".join(error.format_message().split())
    meant = sorted(getattr(error, "possibilities", None) or ())
    hint = f"did you mean {meant[0]}? {see}" if meant else see
    return f"{path}: {_sentence(message, getattr(error, 'param', None))}", hint


def _sentence(message: str, parameter: Any) -> str:
    if (invalid := re.fullmatch(_INVALID, message)) is not None:
        return f"{_plain(invalid['names'])}: {_rule(invalid['rest'], parameter)}"
    for pattern, sentence in _RULES:
        if (match := re.fullmatch(pattern, message)) is not None:
            return sentence.format(names=_plain(match["names"]))
    return f"{message[:1].lower()}{message[1:].rstrip('.')}"


def _rule(rest: str, parameter: Any) -> str:
    number = re.fullmatch(_NOT_A_NUMBER, rest)
    if number is None:
        return f"{rest[:1].lower()}{rest[1:].rstrip('.')}"
    kind = getattr(parameter, "type", None)
    name = getattr(kind, "name", "") or str(number["kind"] or "")
    wanted = "a whole number" if name.startswith("int") else "a number"
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None and most < 2**62:
        wanted += f" from {least:,} to {most:,}"
    elif least is not None:
        wanted += f", {least:,} or more"
    return f"must be {wanted}, got {number['value'].strip(chr(39))}"


def _plain(names: str) -> str:
    """Return ``'--tier' / '-t'`` as ``--tier``."""
    return names.split(" / ", maxsplit=1)[0].strip("'\"")
