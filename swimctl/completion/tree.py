"""Generates the completion table from the command tree: ``python -m swimctl.completion.tree``.

The table is a module so that completion loads neither Typer nor a command. A test keeps it in step with the tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict


class Node(TypedDict):
    """The words of one command."""

    commands: dict[str, str]
    """Subcommands with their help."""
    options: dict[str, tuple[str, str | None]]
    """Options with their help and the completer of their value: None without a value, empty for files."""
    arguments: list[tuple[str, bool]]
    """The completer of each argument, and whether it may be repeated."""


TABLE = Path(__file__).with_name("table.py")


def tree() -> dict[str, Node]:
    """Return the words of each command by its path: ``commands`` and ``options`` with their help, ``arguments``."""
    import typer

    from swimctl.app import load_command, root
    from swimctl.command_table import ENTRIES

    found: dict[str, Node] = {}
    top = _node(typer.main.get_command(root))
    top["commands"] = {name: entry.summary for name, entry in ENTRIES.items()}
    found[""] = top
    for name, entry in ENTRIES.items():
        _walk(load_command(entry.module, entry.name), name, found)
    return found


def module_text() -> str:
    """Return the source text of the table's module."""
    lines = ['"""Words that completion offers. Made by ``python -m swimctl.completion.tree``."""', "", "# fmt: off"]
    lines += ["# ruff: noqa: E501", "COMMANDS = {"]
    for path, node in tree().items():
        lines.append(f"    {path!r}: {{")
        for name in ("commands", "options", "arguments"):
            lines.append(f"        {name!r}: {node[name]!r},")
        lines.append("    },")
    lines += ["}", f"CHANNELS = {_channels()!r}", f"SETTINGS = {_settings()!r}"]
    return "\n".join([*lines, ""])


def _channels() -> tuple[str, ...]:
    from swim_server.protocol.channels import Catalogue

    return tuple(sorted(Catalogue().channels))


def _settings() -> tuple[str, ...]:
    from swim_server.config.parse_value import setting_names

    return tuple(setting_names())


def _walk(command: Any, path: str, found: dict[str, Node]) -> None:
    found[path] = _node(command)
    for name, inner in getattr(command, "commands", {}).items():
        _walk(inner, f"{path} {name}", found)


def _node(command: Any) -> Node:
    commands = {name: inner.get_short_help_str(200) for name, inner in getattr(command, "commands", {}).items()}
    options: dict[str, tuple[str, str | None]] = {}
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append((_completer(parameter), parameter.nargs == -1))
            continue
        takes = None if parameter.is_flag or parameter.count else _completer(parameter)
        for name in (*parameter.opts, *parameter.secondary_opts):
            options[name] = (" ".join((parameter.help or "").split()), takes)
    options["--help"] = ("Show this message and exit.", None)
    return {"commands": commands, "options": options, "arguments": arguments}


def _completer(parameter: Any) -> str:
    """Return the name of the completer in ``swimctl.completion.words``; empty means files."""
    custom = getattr(parameter, "_custom_shell_complete", None)
    if custom is None:
        return ""
    wrapped = next((cell.cell_contents for cell in custom.__closure__ or () if callable(cell.cell_contents)), None)
    name = getattr(_unwrapped(wrapped), "__name__", "")
    assert name, f"{parameter.name} has a completer without a name"
    return str(name)


def _unwrapped(function: object) -> object:
    """Find the function that was passed to Typer inside Typer's wrapper."""
    import inspect

    seen = function
    while getattr(seen, "__module__", "") != "swimctl.completion.words":
        inner = [
            cell.cell_contents for cell in getattr(seen, "__closure__", None) or () if callable(cell.cell_contents)
        ]
        if not inner:
            return seen
        seen = inspect.unwrap(inner[0])
    return seen


if __name__ == "__main__":
    TABLE.write_text(module_text(), "utf-8")
