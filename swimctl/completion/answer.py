"""Answers a shell's request for completions from a prepared table, because nobody waits for TAB."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SHELLS = ("bash", "zsh", "fish")


class Offer(NamedTuple):
    """A completion and its description."""

    word: str
    help: str = ""


def answer(shell: str, environ: Mapping[str, str]) -> tuple[str, int]:
    """Return the output for a shell's completion function, and the exit code."""
    words, incomplete = typed(shell, environ)
    offers = offered(words, incomplete)
    if shell == "bash":
        return "\n".join(offer.word for offer in offers), 0
    if shell == "zsh":
        rows = "\n".join(_zsh(offer) for offer in offers)
        return (f"_arguments '*: :(({rows}))'" if rows else "_files"), 0
    if environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return "", 0 if offers else 1
    return "\n".join(f"{offer.word}\t{offer.help}" if offer.help else offer.word for offer in offers), 0


def typed(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the complete words, without the program's name, and the word being typed."""
    if shell == "bash":
        words = _split(environ.get("COMP_WORDS", ""))
        at = int(environ.get("COMP_CWORD", "0"))
        return words[1:at], words[at] if at < len(words) else ""
    text = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(text)[1:]
    if words and not text.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def offered(words: Sequence[str], incomplete: str) -> list[Offer]:
    """Return the completions after these words."""
    from swimctl.completion.table import COMMANDS

    commands: Mapping[str, Any] = COMMANDS
    path, position, waiting = "", 0, None
    for word in words:
        node = commands[path]
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            options = {**commands[""]["options"], **node["options"]}
            waiting = None if equals or name not in options else options[name][1]
        elif node["commands"]:
            path = f"{path} {word}".strip()
            if path not in commands:
                return []
        else:
            position += 1
    node = commands[path]
    if waiting is not None:
        return _values(waiting, incomplete)
    if incomplete.startswith("-"):
        return [Offer(name, help) for name, (help, _) in node["options"].items() if name.startswith(incomplete)]
    if node["commands"]:
        return [Offer(name, help) for name, help in node["commands"].items() if name.startswith(incomplete)]
    return _values(_argument(node["arguments"], position), incomplete)


def _argument(arguments: Sequence[tuple[str, bool]], position: int) -> str:
    """Return the completer of the argument at a position; the last argument may take many."""
    if position < len(arguments):
        return arguments[position][0]
    return arguments[-1][0] if arguments and arguments[-1][1] else ""


def _values(completer: str, incomplete: str) -> list[Offer]:
    if not completer:
        return []
    from swimctl.completion import words

    return [Offer(word) for word in getattr(words, completer)(incomplete)]


def _split(text: str) -> list[str]:
    """Split a line as a shell does; an unclosed quote ends with the line."""
    for ending in ("", "'", '"'):
        try:
            return shlex.split(text + ending)
        except ValueError:
            continue
    return text.split()


def _zsh(offer: Offer) -> str:
    def escape(text: str) -> str:
        for special, told in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", r"\\:")):
            text = text.replace(special, told)
        return text

    word = f'"{escape(offer.word)}"'
    return f'{word}:"{escape(offer.help)}"' if offer.help else word


def complete() -> int:
    """Answer the shell that asks through environment variables. Prints nothing else."""
    from contextlib import redirect_stderr
    from io import StringIO

    shell = os.environ["_SWIMCTL_COMPLETE"].partition("_")[2]
    with redirect_stderr(StringIO()):
        if shell not in SHELLS:
            from swimctl.app import run

            return run([])
        text, code = answer(shell, os.environ)
    if text:
        os.write(1, f"{text}\n".encode())
    return code
