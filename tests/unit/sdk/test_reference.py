"""The reference of the Python SDK: every public name is documented, and both clients have the same names."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pdoc
import pytest
import swim_client
from support.documents import document
from swim_client import events, sync

OWN = Path(swim_client.__file__).parent
CLASSES = {name: found for name in swim_client.__all__ if inspect.isclass(found := getattr(swim_client, name))}
CLASSES["sync.SWIMClient"] = sync.SWIMClient
ASYNC_ONLY = {"run_async"}
NEWS: dict[str, Any] = {
    "connected": swim_client.ConnectionInfo, "disconnected": swim_client.Disconnection,
    "reconnected": swim_client.Reconnection, "gap": swim_client.Gap, "error": swim_client.ErrorMessage,
    "system.heartbeat": swim_client.HeartbeatEvent,
}  # fmt: skip
KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Dict": "object"}


def public_members(found: type) -> Iterator[tuple[str, str | None]]:
    """Each method and property of ours, with its docstring."""
    for name in dir(found):
        owner = next((each for each in found.__mro__ if name in vars(each)), object)
        if name.startswith("_") or not owner.__module__.startswith("swim_client"):
            continue
        member = inspect.getattr_static(found, name)
        if inspect.isroutine(member) or isinstance(member, (property, classmethod, staticmethod)):
            yield name, inspect.getdoc(member)


@pytest.mark.parametrize("name", CLASSES)
def test_class_and_every_public_member_say_what_they_are(name: str) -> None:
    assert inspect.getdoc(CLASSES[name])
    assert [member for member, text in public_members(CLASSES[name]) if not text] == []


def test_every_field_of_an_event_says_what_it_is() -> None:
    tree = ast.parse(Path(events.__file__).read_text("utf-8"))
    for found in (node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")):
        fields = [index for index, node in enumerate(found.body) if isinstance(node, ast.AnnAssign)]
        for index in fields:
            after = found.body[index + 1] if index + 1 < len(found.body) else None
            assert isinstance(after, ast.Expr), f"{found.name}: {ast.unparse(found.body[index])}"


def test_both_faces_have_the_same_names_and_arguments() -> None:
    plain, other = sync.SWIMClient, swim_client.SWIMClient
    names = {name for name, _ in public_members(other)} - ASYNC_ONLY
    assert names == {name for name, _ in public_members(plain)}
    for name in names:
        if not isinstance(inspect.getattr_static(other, name), property):
            mine = [each for each in inspect.signature(getattr(plain, name)).parameters if each != "timeout"]
            assert mine == list(inspect.signature(getattr(other, name)).parameters), name


def test_table_of_the_news_has_every_field_with_its_kind() -> None:
    rows, event_type = set(), ""
    for line in document("sdk/python/README.md").text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].startswith("`"):
            event_type = cells[0].strip("`") or event_type
            rows.add((event_type, cells[1].strip("`"), cells[2].partition(":")[0]))
    wanted = {
        (name, field.name, KINDS[str(field.type).removeprefix("Optional[").partition("[")[0].rstrip("]")])
        for name, found in NEWS.items()
        for field in dataclasses.fields(found)
    }
    assert rows == wanted


def test_reference_is_built_without_a_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.render.configure(show_source=False, search=False)
        pdoc.pdoc("swim_client", "swim_client.client", "swim_client.sync", output_directory=tmp_path)
    page = (tmp_path / "swim_client.html").read_text("utf-8")
    plain = (tmp_path / "swim_client" / "sync.html").read_text("utf-8")
    assert [name for name in swim_client.__all__ if f'id="{name}"' not in page] == []
    for name, _ in public_members(sync.SWIMClient):
        assert f'id="SWIMClient.{name}"' in plain or f'client.html#ClientBase.{name}"' in plain, name
        assert f'id="SWIMClient.{name}"' in page or f'id="ClientBase.{name}"' in page, name
