"""Channels: which there are, what each selects, which was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.channels import Catalogue, InvalidChannel, InvalidFamily, matches
from swim_server.protocol.codes import ErrorCode

TYPES = {
    "flight": ("created", "updated", "departed", "arrived", "deleted", "position", "positions"),
    "tmi": ("issued", "modified", "released"),
    "system": ("heartbeat", "notice"),
    "cdm": ("updated", "edct", "ctot", "gs"),
    "ctp": ("slots.optimized", "session.updated", "edct.assigned"),
    "splits": ("activated", "deactivated", "updated", "ingested"),
    "aman": ("sequence", "updated"),
}
BUILT_IN = [f"{family}.{name}" for family, names in TYPES.items() for name in names]
CATALOGUE = Catalogue()


def test_built_in_types_are_those_of_the_protocol() -> None:
    assert CATALOGUE.types == frozenset(BUILT_IN)


def test_families_list_their_types_in_order() -> None:
    assert list(CATALOGUE.families.items()) == list(TYPES.items())


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
        CATALOGUE.check(channel)  # type: ignore[arg-type]
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
        ("ctp.slots.*", "ctp.slots.optimized", False),
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
