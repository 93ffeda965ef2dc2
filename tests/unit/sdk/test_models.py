"""The typed events of all SDKs are those of the protocol: a new field appears everywhere, or this fails."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from swim_client.events import FlightEvent, Position, PositionBatch, SplitsEvent, TMIEvent
from swim_server.protocol.payloads import PAYLOADS

ROOT = Path(__file__).parents[3]
TOOL = ROOT / "server" / "tools" / "client_models.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("client_models", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE: dict[str, str] = load().files()


@pytest.mark.parametrize("path", MADE)
def test_file_is_what_the_types_of_the_protocol_make(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == MADE[path], "python server/tools/client_models.py writes it anew"


def test_no_model_is_left_of_a_type_that_is_gone() -> None:
    folder = ROOT / "sdk/java/src/main/java/org/vatsim/swim/model"
    made = {Path(path).name for path in MADE if path.endswith(".java")}
    assert {path.name for path in folder.glob("*.java")} == made | {"Json.java"}


def test_every_field_of_a_flight_is_in_each_language() -> None:
    for model in load().models():
        names = {name for name, _, _ in model.fields}
        for path in (path for path in MADE if not path.endswith(".java") or Path(path).stem == model.name):
            text = MADE[path]
            for name in names:
                assert name in text, f"{path} has no {name}"


@pytest.mark.parametrize(
    ("family", "event_class"),
    [("flight", FlightEvent), ("flight.position", Position), ("flight.positions", PositionBatch), ("tmi", TMIEvent),
     ("splits", SplitsEvent)],
)  # fmt: skip
def test_python_names_the_fields_of_the_protocol_and_no_other(family: str, event_class: type) -> None:
    known = {
        field.encode_name
        for event_type, payload in PAYLOADS.items()
        if event_type == family or (event_type.startswith(f"{family}.") and event_type != "flight.positions")
        for field in msgspec.structs.fields(payload)
    }
    assert {field.name for field in fields(event_class)} == known
