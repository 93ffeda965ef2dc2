"""Channels: which exist, what each selects, which one a typo meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.channels import Catalogue, InvalidChannel, InvalidFamily, family_of, is_listed, matches
from swim_server.protocol.codes import ErrorCode

TYPES = {
    "flight": ("created", "updated", "departed", "arrived", "deleted", "position", "positions"),
    "tmi": (
        *("issued", "modified", "released", "action", "edct_assigned", "edct_cancelled", "gate_hold", "gate_release"),
        *("program.*", "advisory.*", "entry.*", "reroute.*", "slot.*", "coordination.*", "flow_measure.*"),
    ),
    "system": ("heartbeat", "notice"),
    "cdm": ("updated", "edct", "ctot", "gs"),
    "ctp": (
        *("slots.optimized", "session.updated", "session.*", "edct.assigned", "edct.removed", "edct.batch_assigned"),
        *("route.modified", "flights.detected"),
    ),
    "splits": ("activated", "deactivated", "updated", "ingested"),
    "aman": ("sequence", "updated"),
    "controller": ("connected", "disconnected", "positions"),
    "facility": ("staffing",),
    "simtraffic": ("lifecycle.*",),
    "metering": ("*",),
}
SLOTS = ("assigned", "released", "frozen", "missed", "at_risk")
BUILT_IN = [f"{family}.{name}" for family, names in TYPES.items() for name in names]
BUILT_IN += [f"ctp_slot_{name}" for name in SLOTS]
CATALOGUE = Catalogue()


def test_built_in_types_are_those_of_the_protocol() -> None:
    assert CATALOGUE.types == frozenset(BUILT_IN)


def test_families_list_their_types_in_order() -> None:
    ours = {family: [name for name in names if "slot." not in name or family == "tmi"]
            for family, names in CATALOGUE.families.items()}  # fmt: skip
    assert list(ours.items()) == [(family, list(names)) for family, names in TYPES.items()]


@pytest.mark.parametrize(
    "event_type",
    [
        *("tmi.action", "tmi.edct_assigned", "tmi.edct_cancelled", "tmi.gate_hold", "tmi.gate_release"),
        *("tmi.program.published", "tmi.advisory.issued", "tmi.entry.created", "tmi.reroute.updated"),
        *("tmi.slot.assigned", "tmi.coordination.requested", "tmi.flow_measure.notified"),
        *("ctp.edct.removed", "ctp.edct.batch_assigned", "ctp.route.modified", "ctp.session.active"),
        *("ctp.flights.detected", "controller.connected", "controller.disconnected", "controller.positions"),
        *("facility.staffing", "simtraffic.lifecycle.spawned", "metering.release", "metering.delay.updated"),
        *(f"ctp_slot_{name}" for name in SLOTS),
    ],
)
def test_shape_of_the_former_emitters_is_known_and_belongs_to_its_family(event_type: str) -> None:
    assert CATALOGUE.knows(event_type)
    family = "ctp" if event_type.startswith("ctp") else event_type.partition(".")[0]
    assert family_of(event_type) == family
    assert matches(f"{family}.*", event_type)
    assert CATALOGUE.check(event_type) == event_type
    for channels in ([f"{family}.*"], [event_type], ["*"]):
        assert not CATALOGUE.expand(channels).isdisjoint(CATALOGUE.keys(event_type))
    assert CATALOGUE.expand(["flight.*"]).isdisjoint(CATALOGUE.keys(event_type))


@pytest.mark.parametrize(
    "text",
    [
        "tmi.program.*",
        "tmi.program.",
        "tmi.program",
        "tmi.program.a b",
        "metering.*",
        "ctp_slot_x",
        "tmi.x.y",
        "ctp.slot.assigned",
        "tmi.program.a.b.c.d",
        "",
        "metering",
    ],
)
def test_type_outside_the_open_ended_ones_is_not_known(text: str) -> None:
    assert not CATALOGUE.knows(text)


@pytest.mark.parametrize("name", SLOTS)
def test_alias_in_a_channel_stands_for_the_type_as_it_is_written(name: str) -> None:
    assert CATALOGUE.check(f"ctp.slot.{name}") == f"ctp_slot_{name}"
    assert CATALOGUE.expand([f"ctp.slot.{name}"]) == {f"ctp_slot_{name}"}


def test_channel_of_open_ended_types_selects_those_alone() -> None:
    assert CATALOGUE.check("tmi.program.*") == "tmi.program.*"
    assert matches("tmi.program.*", "tmi.program.published")
    assert not matches("tmi.program.*", "tmi.programs.published")


def test_open_ended_types_may_be_declared_for_a_known_family_and_for_a_new_one() -> None:
    catalogue = Catalogue({"cdm": ["slot.*"], "weather": ["sigmet.*"]})
    assert catalogue.knows("cdm.slot.moved")
    assert catalogue.knows("weather.sigmet.issued")
    assert not catalogue.expand(["cdm.*"]).isdisjoint(catalogue.keys("cdm.slot.moved"))


@pytest.mark.parametrize(
    ("type", "listed"), [("tmi.program.x", True), ("flight.created", True), ("tmi.slot.x", False), ("tmi", False)]
)
def test_type_is_listed_by_itself_or_as_open_ended(type: str, listed: bool) -> None:
    assert is_listed(type, {"tmi.program.*", "flight.created"}) is listed


@pytest.mark.parametrize(
    "channel", [*BUILT_IN, "flight.*", "tmi.*", "system.*", "cdm.*", "ctp.*", "splits.*", "aman.*", "*"]
)
def test_every_type_every_family_and_everything_can_be_subscribed_to(channel: str) -> None:
    assert CATALOGUE.check(channel) == channel
    assert CATALOGUE.check(f" {channel}\n") == channel


@pytest.mark.parametrize(
    ("channel", "nearest"),
    [
        ("flight.departd", "flight.departed"),
        ("flights.*", "flight.*"),
        ("flight", "flight.*"),
        ("Flight.Departed", "flight.departed"),
        ("FLIGHT.*", "flight.*"),
        ("tmi.issue", "tmi.issued"),
        ("ctp.slots.*", "splits.*"),
        ("zzz", None),
        ("", None),
        (".*", None),
        ("**", None),
        ("x" * 100_000, None),
        (None, None),
        (17, None),
        (["flight.*"], None),
    ],
)
def test_unknown_channel_is_refused_with_the_nearest_known_one(channel: object, nearest: str | None) -> None:
    with pytest.raises(InvalidChannel) as refusal:
        CATALOGUE.check(channel)  # type: ignore[arg-type]  # a wrong type is the test
    assert refusal.value.code is ErrorCode.INVALID_CHANNEL
    if nearest is None or channel == "ctp.slots.*":
        assert refusal.value.nearest is None or refusal.value.nearest in CATALOGUE.channels
    else:
        assert refusal.value.nearest == nearest
        assert f"did you mean {nearest}?" in str(refusal.value)
    assert len(str(refusal.value)) < 250


def test_refusal_carries_channel_and_nearest_for_the_error_message() -> None:
    with pytest.raises(InvalidChannel) as refusal:
        CATALOGUE.check("flight.departd")
    assert refusal.value.data == {"channel": "flight.departd", "nearest": "flight.departed"}


@given(st.text())
def test_check_any_text_is_known_or_refused(text: str) -> None:
    try:
        assert CATALOGUE.check(text) in CATALOGUE.channels
    except InvalidChannel as refusal:
        assert refusal.nearest is None or refusal.nearest in CATALOGUE.channels


@pytest.mark.parametrize(
    ("channel", "type", "matched"),
    [
        ("flight.departed", "flight.departed", True),
        ("flight.position", "flight.positions", False),
        ("flight.*", "flight.departed", True),
        ("ctp.*", "ctp.slots.optimized", True),
        ("flight.*", "flights.departed", False),
        ("flight.*", "flight", False),
        ("tmi.*", "flight.departed", False),
        ("*", "ctp.slots.optimized", True),
        ("ctp.slots.*", "ctp.slots.optimized", True),
        ("Flight.*", "flight.departed", False),
        ("", "flight.departed", False),
        (".*", ".x", True),
    ],
)
def test_matches_exact_types_families_and_everything(channel: str, type: str, matched: bool) -> None:
    assert matches(channel, type) is matched


@given(st.lists(st.sampled_from(sorted(CATALOGUE.channels)), max_size=5))
def test_expand_selects_exactly_the_types_that_some_channel_matches(channels: list[str]) -> None:
    expected = {type for type in CATALOGUE.types if any(matches(channel, type) for channel in channels)}
    assert CATALOGUE.expand(channels) == expected


def test_expand_everything_is_every_type() -> None:
    assert CATALOGUE.expand(["*"]) == CATALOGUE.types
    assert CATALOGUE.expand([]) == frozenset()


def test_declared_families_are_channels_like_the_built_in_ones() -> None:
    catalogue = Catalogue({"weather": ["sigmet", "metar.updated"], "flight": ["diverted", "created"]})
    assert catalogue.expand(["weather.*"]) == {"weather.sigmet", "weather.metar.updated"}
    assert catalogue.check("flight.diverted") == "flight.diverted"
    assert catalogue.families["flight"].count("created") == 1
    assert "flight.departed" in catalogue.types
    assert catalogue.nearest("wether.sigmet") == "weather.sigmet"


def test_declared_families_leave_other_catalogues_alone() -> None:
    Catalogue({"flight": ["diverted"]})
    assert "flight.diverted" not in Catalogue().types


@pytest.mark.parametrize(
    "extra", [{"": ["a"]}, {"a.b": ["c"]}, {"*": ["c"]}, {"a": [""]}, {"a": ["*"]}, {"a": ["b..c"]}]
)
def test_declared_name_that_can_not_be_one_is_refused(extra: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidFamily, match=r"^in channels\.families"):
        Catalogue(extra)


def test_declared_family_without_types_is_a_channel_that_selects_nothing_yet() -> None:
    catalogue = Catalogue({"weather": []})
    assert catalogue.check("weather.*") == "weather.*"
    assert catalogue.expand(["weather.*"]) == frozenset()
