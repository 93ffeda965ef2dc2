"""Writes the typed events of the SDKs in JavaScript, Java and C#, from the types of the protocol.

``python server/tools/client_models.py`` writes the files anew; a test holds them against this.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import inspect as types
from swim_server.protocol.payloads import PAYLOADS

ROOT = Path(__file__).parents[2]
TYPESCRIPT = "sdk/javascript/types/models.d.ts"
JAVA = "sdk/java/src/main/java/org/vatsim/swim/model/{name}.java"
CSHARP = "sdk/csharp/SwimClient/Models.cs"
PAGE = "sdk/EVENTS.md"
MADE = "Made by server/tools/client_models.py from the types of the protocol; not to be edited."


class Model(NamedTuple):
    """One kind of data."""

    name: str
    text: str
    fields: list[tuple[str, str, str]]
    """Name on the wire; kind: ``string``, ``integer``, ``number``, ``boolean``, ``identifier``, ``strings`` or another
    model's name with ``[]``; text.
    """


def models() -> list[Model]:
    """Return all models, each once."""
    return [_model(payload) for payload in dict.fromkeys(PAYLOADS.values())]


def _model(payload: type[msgspec.Struct]) -> Model:
    texts = _field_texts(payload)
    info = types.type_info(payload)
    assert isinstance(info, types.StructType), "payloads are structs"
    fields = [(one.encode_name, _kind(one.type), texts.get(one.name, "")) for one in info.fields]
    return Model(payload.__name__, inspect.cleandoc(payload.__doc__ or ""), fields)


def _kind(kind: types.Type) -> str:
    if isinstance(kind, types.UnionType):
        kinds = {_kind(one) for one in kind.types if not isinstance(one, types.NoneType)}
        return kinds.pop() if len(kinds) == 1 else "identifier"
    if isinstance(kind, types.ListType):
        inner = kind.item_type
        return f"{inner.cls.__name__}[]" if isinstance(inner, types.StructType) else "strings"
    names = {types.StrType: "string", types.IntType: "integer", types.FloatType: "number", types.BoolType: "boolean"}
    return names[type(kind)]


def _field_texts(payload: type) -> dict[str, str]:
    """Return the docstring of each field; those of base classes count."""
    found: dict[str, str] = {}
    for each in reversed(payload.__mro__):
        if each.__module__ == payload.__module__:
            source = inspect.getsource(each)
            for name, text in re.findall(r'^    (\w+): [^\n]+\n    """(.*?)"""', source, re.S | re.M):
                found[name] = " ".join(text.replace("``", "").split())
    return found


def files() -> dict[str, str]:
    """Generate all files, by their path in the repository."""
    made = {TYPESCRIPT: "\n".join(_typescript()) + "\n", CSHARP: "\n".join(_csharp()) + "\n"}
    made[PAGE] = "\n".join(_page()) + "\n"
    for model in models():
        made[JAVA.format(name=model.name)] = "\n".join(_java(model)) + "\n"
    return made


# The page of all fields.

_UNITS = {"ft": "feet", "kts": "knots", "deg": "degrees true", "fpm": "feet a minute", "utc": "RFC 3339, UTC"}
_DEGREES = frozenset({"latitude", "longitude"})


def _page() -> Iterator[str]:
    yield "# The fields of every event"
    yield ""
    yield f"<!-- {MADE} -->"
    yield ""
    yield "The same names in every SDK, in the case that its language uses. Any field may be absent or null. An event"
    yield "of another type holds what its provider sent. Every event has `type`, `timestamp` (RFC 3339, UTC), `id` and"
    yield "`data`; these are the fields of `data`."
    for model in models():
        named = [f"`{event_type}`" for event_type, payload in PAYLOADS.items() if payload.__name__ == model.name]
        yield ""
        yield f"## {', '.join(named) or model.name}"
        yield ""
        yield _words(model.text)
        yield ""
        yield "| field | type | unit | |"
        yield "| --- | --- | --- | --- |"
        for name, kind, text in model.fields:
            yield f"| `{name}` | {_shown(kind)} | {_unit(name, kind)} | {text} |"


def _shown(kind: str) -> str:
    if kind.endswith("[]"):
        return f"list of {kind.removesuffix('[]')}"
    return {"strings": "list of strings", "identifier": "integer or string"}.get(kind, kind)


def _unit(name: str, kind: str) -> str:
    if name in _DEGREES:
        return "decimal degrees"
    return _UNITS.get(name.rpartition("_")[2], "RFC 3339, UTC" if name.endswith("_time") and kind == "string" else "")


def _words(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


# TypeScript.

_TYPESCRIPT = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean", "identifier": "number | string",
    "strings": "string[]",
}  # fmt: skip


def _typescript() -> Iterator[str]:
    yield f"// {MADE}"
    for model in models():
        yield ""
        yield f"/** {_words(model.text)} */"
        yield f"export interface {model.name} {{"
        for name, kind, text in model.fields:
            if text:
                yield f"  /** {text} */"
            yield f"  {name}?: {_TYPESCRIPT.get(kind, kind)} | null;"
        yield "  [field: string]: unknown;"
        yield "}"
    yield ""
    yield "/** The data of each type that the protocol lays down. */"
    yield "export interface PayloadData {"
    for event_type, payload in PAYLOADS.items():
        yield f"  '{event_type}': {payload.__name__};"
    yield "}"


# Java.

_JAVA = {
    "string": ("String", "Json.text"), "integer": ("Long", "Json.integer"), "number": ("Double", "Json.number"),
    "boolean": ("Boolean", "Json.bool"), "identifier": ("String", "Json.identifier"),
    "strings": ("List<String>", "Json.texts"),
}  # fmt: skip


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _java(model: Model) -> Iterator[str]:
    yield "package org.vatsim.swim.model;"
    yield ""
    yield "import com.fasterxml.jackson.databind.JsonNode;"
    if any(kind.endswith("[]") or kind == "strings" for _, kind, _ in model.fields):
        yield "import java.util.List;"
    yield ""
    yield "/**"
    text = re.sub(r"``(.+?)``", r"{@code \1}", " ".join(model.text.split()))
    yield from (f" * {line}" for line in textwrap.wrap(text, 110))
    yield f" * <p>{MADE} A field that the server did not send, or as null, is null."
    yield " */"
    yield f"public final class {model.name} {{"
    for name, kind, text in model.fields:
        own = _JAVA.get(kind, (f"List<{kind.removesuffix('[]')}>", ""))[0]
        if text:
            yield f"    /** {text} */"
        yield f"    public final {own} {_camel(name)};"
    yield ""
    yield f"    private {model.name}(JsonNode data) {{"
    for name, kind, _ in model.fields:
        if kind.endswith("[]"):
            yield f'        {_camel(name)} = Json.list(data, "{name}", {kind.removesuffix("[]")}::from);'
        else:
            yield f'        {_camel(name)} = {_JAVA[kind][1]}(data, "{name}");'
    yield "    }"
    yield ""
    yield "    /** Read the data of an event; never fails, whatever it holds. */"
    yield f"    public static {model.name} from(JsonNode data) {{"
    yield f"        return new {model.name}(data);"
    yield "    }"
    yield "}"


# C#.

_CSHARP = {
    "string": ("string", "Json.Text"), "integer": ("long?", "Json.Integer"), "number": ("double?", "Json.Number"),
    "boolean": ("bool?", "Json.Bool"), "identifier": ("string", "Json.Identifier"),
    "strings": ("IReadOnlyList<string>", "Json.Texts"),
}  # fmt: skip


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _csharp() -> Iterator[str]:
    yield f"// {MADE}"
    yield "using System.Collections.Generic;"
    yield "using System.Text.Json;"
    yield ""
    yield "namespace VatSim.Swim.Models"
    yield "{"
    for number, model in enumerate(models()):
        if number:
            yield ""
        summary = re.sub(r"``(.+?)``", r"<c>\1</c>", " ".join(model.text.split()))
        yield f"    /// <summary>{summary}</summary>"
        yield f"    public sealed class {model.name}"
        yield "    {"
        for name, kind, text in model.fields:
            own = _CSHARP.get(kind, (f"IReadOnlyList<{kind.removesuffix('[]')}>", ""))[0]
            if text:
                yield f"        /// <summary>{text}</summary>"
            yield f"        public {own} {_pascal(name)} {{ get; private set; }}"
        yield ""
        yield "        /// <summary>Reads the data of an event; never fails, whatever it holds.</summary>"
        yield f"        public static {model.name} From(JsonElement data)"
        yield "        {"
        yield f"            return new {model.name}"
        yield "            {"
        for name, kind, _ in model.fields:
            if kind.endswith("[]"):
                yield f'                {_pascal(name)} = Json.List(data, "{name}", {kind.removesuffix("[]")}.From),'
            else:
                yield f'                {_pascal(name)} = {_CSHARP[kind][1]}(data, "{name}"),'
        yield "            };"
        yield "        }"
        yield "    }"
    yield "}"


def main() -> None:
    """Write all files."""
    for path, text in files().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
