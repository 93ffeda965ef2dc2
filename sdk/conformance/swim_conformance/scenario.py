"""Scenarios: a server's script, what a client is told to do meanwhile, and the expected outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swim_conformance.script import Script, ScriptError

HOME = Path(__file__).parents[1]
SCENARIOS = HOME / "scenarios"
DEFAULT_OPTIONS: Mapping[str, Any] = {
    "reconnect_ms": 30,
    "max_reconnect_ms": 300,
    # Some libraries do not always tell that a line broke: what notices it then must come within a scenario's time.
    "ping_ms": 2500,
    "ping_timeout_ms": 9000,
}
DEFAULT_STEPS: Sequence[Mapping[str, Any]] = ({"do": "subscribe", "channels": ["flight.*"]}, {"do": "connect"})
_FIELDS = {"name", "rules", "about", "needs", "variants", "server", "client", "expect"}
_CLIENT_FIELDS = {"options", "steps"}
EXPECTATIONS = frozenset(
    {
        "events", "any_order", "saw", "never", "times", "attempts", "sent", "never_sent", "pauses", "ended", "repeats",
        "closed", "settle", "addresses",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """One fact about a client."""

    name: str
    rules: Sequence[int]
    """The numbers of the rules in ``RULES.md`` that it verifies."""
    about: str
    needs: frozenset[str]
    """Abilities that the adapter must have; without them the scenario is skipped."""
    server: Script
    options: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    expect: Mapping[str, Any]

    @classmethod
    def read(cls, given: Mapping[str, Any], where: str) -> Scenario:
        """Parse one scenario from decoded JSON. Raises ScriptError."""
        unknown = sorted(set(given) - _FIELDS)
        if unknown:
            raise ScriptError(where, f"unknown field {unknown[0]!r}; known are: {', '.join(sorted(_FIELDS))}")
        client = given.get("client", {})
        expect = given.get("expect", {})
        for name, known, found in (("client", _CLIENT_FIELDS, client), ("expect", EXPECTATIONS, expect)):
            strange = sorted(set(found) - known)
            if strange:
                raise ScriptError(f"{where}.{name}", f"unknown field {strange[0]!r}")
        if not expect:
            raise ScriptError(where, "expects nothing, so it can't fail")
        return cls(
            name=given["name"],
            rules=given.get("rules", []),
            about=given.get("about", ""),
            needs=frozenset(given.get("needs", [])),
            server=Script.read(given.get("server", {}), f"{where}.server"),
            options={**DEFAULT_OPTIONS, **client.get("options", {})},
            steps=client.get("steps", DEFAULT_STEPS),
            expect=expect,
        )


def load(folder: Path = SCENARIOS) -> list[Scenario]:
    """Read all scenarios of a folder; each variant becomes a scenario. Raises ScriptError."""
    found = [scenario for path in sorted(folder.glob("*.json")) for scenario in _of_file(path)]
    names = [scenario.name for scenario in found]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ScriptError(str(folder), f"two scenarios are called {sorted(doubled)[0]!r}")
    return found


def _of_file(path: Path) -> Iterator[Scenario]:
    try:
        given = json.loads(path.read_text("utf-8"))
    except ValueError as problem:
        raise ScriptError(str(path), f"not JSON: {problem}") from None
    for one in given:
        where = f"{path.name}: {one.get('name', '?')}"
        for values in one.get("variants", [{}]):
            filled = fill({name: value for name, value in one.items() if name != "variants"}, values)
            yield Scenario.read(filled, where)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Replace each ``$name`` by the variant's value."""
    if isinstance(template, str):
        if template[:1] == "$" and template[1:] in values:
            return values[template[1:]]
        for name, value in values.items():
            template = template.replace(f"${{{name}}}", str(value))
        return template
    if isinstance(template, Mapping):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(one, values) for one in template]
    return template
