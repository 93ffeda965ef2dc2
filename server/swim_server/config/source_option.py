"""Sources named in one word each: ``file:PATH``, ``recording:PATH?speed=30&loop=false``, ``simulator?flights=300``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from swim_server.config.check import Finding, check, choices, nearest, show
from swim_server.config.errors import ConfigError, Problem
from swim_server.config.parse_value import parse_value
from swim_server.config.source_settings import SourceConfig

_TARGETS = ("path", "url", "database")
"""The settings that the text after the colon sets, for kinds that have one of them."""


def parse_source(text: str, option: str = "--source") -> SourceConfig:
    """Parse one ``--source`` word. Paths stay as written. Raises ConfigError with everything that is wrong with it."""
    union = inspect.type_info(SourceConfig)
    assert isinstance(union, inspect.UnionType), "sources are a union of tagged structs"
    tagged = choices(union)
    head, words = _split(text)
    kind, colon, target = head.partition(":")
    if kind in tagged and _is_of_the_address(target, words, tagged[kind]):
        (kind, colon, target), words = text.strip().partition(":"), []
    if kind not in tagged:
        raise ConfigError([_problem(text, option, _unknown_kind(kind, list(tagged)))])
    values: dict[str, Any] = {"kind": kind}
    problems = [_problem(text, option, rule) for rule in _read(values, tagged[kind], colon + target, words)]
    findings = [finding for finding in check(values, union) if finding[0] or not problems]
    problems += [_problem(text, option, _describe(finding)) for finding in findings]
    if problems:
        raise ConfigError(problems)
    source: SourceConfig = msgspec.convert(values, SourceConfig)
    return source


def parse_sources(texts: Sequence[str]) -> list[SourceConfig]:
    """Parse several words. Raises ConfigError with everything that is wrong with any of them."""
    sources: list[SourceConfig] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            sources.append(parse_source(text))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return sources


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    head, mark, query = text.strip().rpartition("?")
    if not mark or (query and "=" not in query):  # a question mark that is part of the path
        return text.strip(), []
    return head, parse_qsl(query, keep_blank_values=True)


def _is_of_the_address(target: str, words: list[tuple[str, str]], struct: inspect.StructType) -> bool:
    """Tell whether everything after the question mark belongs to an http address."""
    fields = {field.encode_name for field in struct.fields}
    return "url" in fields and "://" in target and not any(word in fields for word, _ in words)


def _read(
    values: dict[str, Any], struct: inspect.StructType, target: str, words: list[tuple[str, str]]
) -> Iterator[str]:
    """Set the target and the options; report unknown ones."""
    fields = {field.encode_name: field for field in struct.fields}
    named = next((name for name in _TARGETS if name in fields), None)
    if target[1:]:
        if named is None:
            yield f"{struct.tag} takes no value after a colon, got {show(target[1:])}"
        else:
            values[named] = target[1:]
    elif named is not None and fields[named].required and named not in dict(words):
        yield f"{struct.tag} needs a {named}: {struct.tag}:{named.upper()}"
    for word, written in words:
        if word not in fields:
            near = nearest(word, list(fields))
            yield f"{struct.tag} has no option {word!r}" + (
                f", did you mean {near}?" if near else f"; there are {', '.join(fields)}"
            )
        else:
            values[word] = parse_value(written, fields[word].type)


def _describe(finding: Finding) -> str:
    path, rule = finding
    return f"{'.'.join(str(part) for part in path)} {rule}" if path else rule


def _unknown_kind(kind: str, known: list[str]) -> str:
    near = nearest(kind, known)
    hint = f", did you mean {near}?" if near else "."
    return f"there is no source kind {kind!r}{hint} Source kinds: {', '.join(known)}"


def _problem(text: str, option: str, rule: str) -> Problem:
    return Problem(f"{option} '{text}'", rule)
