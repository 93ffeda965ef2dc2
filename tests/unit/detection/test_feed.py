from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed import NOON_MS, document, pilot, prefile, snapshot
from swim_server.detection.feed import MAX_PILOTS, InvalidSnapshot
from swim_server.detection.feed_decoding import decode_snapshot


def raw_document(**pilot_fields: Any) -> dict[str, Any]:
    """A document of three pilots as dicts; the second has the given fields."""
    good = json.loads(document(snapshot(0, [pilot(cid=1), pilot(cid=2), pilot(cid=3)], [prefile(cid=4)])))
    good["pilots"][1].update(pilot_fields)
    return dict(good)


def encode(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw).encode()


def test_a_document_is_decoded_into_what_it_says() -> None:
    seen = snapshot(0, [pilot(callsign="DLH1")], [prefile(callsign="DLH2")])
    assert decode_snapshot(document(seen)) == seen


def test_fields_that_are_not_used_are_ignored() -> None:
    raw = raw_document(server="USA-EAST2", transponder=2000, name={"any": ["thing"]})
    assert len(decode_snapshot(encode(raw)).pilots) == 3


def test_a_pilot_without_a_plan_is_kept() -> None:
    assert decode_snapshot(encode(raw_document(flight_plan=None))).pilots[1].flight_plan is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latitude", "50.1"),
        ("latitude", 91),
        ("latitude", float("nan")),
        ("longitude", -181.5),
        ("longitude", True),
        ("altitude", 10**30),
        ("altitude", float("inf")),
        ("altitude", [1]),
        ("groundspeed", -5),
        ("groundspeed", 99_999),
        ("heading", "north"),
        ("flight_plan", "EDDF-EDDM"),
        ("flight_plan", 7),
        ("logon_time", 1732190400),
        ("last_updated", {}),
    ],
)
def test_a_wrong_field_of_one_pilot_becomes_none_and_nothing_else_is_touched(field: str, value: object) -> None:
    decoded = decode_snapshot(encode(raw_document(**{field: value})))
    whole = decode_snapshot(encode(raw_document()))
    assert getattr(decoded.pilots[1], field) is None
    assert (decoded.pilots[0], decoded.pilots[2], decoded.prefiles) == (
        whole.pilots[0],
        whole.pilots[2],
        whole.prefiles,
    )
    assert decoded.dropped == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"cid": None},
        {"cid": "1000002"},
        {"cid": -1},
        {"cid": 2**70},
        {"cid": 1.5},
        {"callsign": None},
        {"callsign": ""},
        {"callsign": "   "},
        {"callsign": "TWO WORDS"},
        {"callsign": "X" * 25},
        {"callsign": 12},
    ],
)
def test_a_pilot_without_identity_is_dropped_and_counted(broken: dict[str, Any]) -> None:
    decoded = decode_snapshot(encode(raw_document(**broken)))
    assert [pilot.cid for pilot in decoded.pilots] == [1, 3]
    assert decoded.dropped == 1


@pytest.mark.parametrize("entry", [None, 7, "pilot", [], [[]]])
def test_an_entry_that_is_no_object_is_dropped_and_counted(entry: object) -> None:
    raw = raw_document()
    raw["pilots"].append(entry)
    raw["prefiles"].append(entry)
    decoded = decode_snapshot(encode(raw))
    assert (len(decoded.pilots), decoded.dropped) == (3, 2)


def test_a_wrong_field_of_a_plan_becomes_none_and_the_rest_of_the_plan_is_kept() -> None:
    raw = raw_document()
    raw["pilots"][1]["flight_plan"] = {"departure": "EDDF", "arrival": 5, "route": None, "aircraft_short": ["A320"]}
    plan = decode_snapshot(encode(raw)).pilots[1].flight_plan
    assert plan is not None
    assert (plan.departure, plan.arrival, plan.route, plan.aircraft_short) == ("EDDF", None, None, None)


def test_blanks_around_a_callsign_are_cut_off() -> None:
    assert decode_snapshot(encode(raw_document(callsign=" DLH9 "))).pilots[1].callsign == "DLH9"


def test_half_a_character_is_replaced_by_one_that_can_be_sent_on() -> None:
    raw = raw_document()
    raw["pilots"][1]["flight_plan"]["route"] = "DCT \ud800 DCT"
    plan = decode_snapshot(encode(raw)).pilots[1].flight_plan
    assert plan is not None
    assert plan.route == "DCT ? DCT"


def test_missing_prefiles_are_unknown_rather_than_none() -> None:
    raw = raw_document()
    del raw["prefiles"]
    assert decode_snapshot(encode(raw)).prefiles is None


@pytest.mark.parametrize("prefiles", ["none", 5, {}])
def test_prefiles_that_are_no_list_are_unknown(prefiles: object) -> None:
    raw = raw_document()
    raw["prefiles"] = prefiles
    decoded = decode_snapshot(encode(raw))
    assert decoded.prefiles is None
    assert len(decoded.pilots) == 3


def test_the_short_stamp_serves_where_the_long_one_is_missing() -> None:
    raw = raw_document()
    raw["general"] = {"update": "20241121120000"}
    assert decode_snapshot(encode(raw)).update_ms == NOON_MS


@pytest.mark.parametrize(
    "general", [{}, None, 7, {"update_timestamp": None}, {"update_timestamp": "soon", "update": "99999999999999"}]
)
def test_a_document_without_a_stamp_is_no_feed(general: object) -> None:
    raw = raw_document()
    raw["general"] = general
    with pytest.raises(InvalidSnapshot) as caught:
        decode_snapshot(encode(raw))
    assert caught.value.reason == "not a feed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "truncated"),
        (b"  \n", "truncated"),
        (b'{"general": {"update_timestamp": "2024-11-21T12:00:00Z"}, "pilots": [{"cid": 1', "truncated"),
        (b"<html>503 Service Unavailable</html>", "not JSON"),
        (b'{"general": }', "not JSON"),
        (b"[]", "not a feed"),
        (b"null", "not a feed"),
        (b"7", "not a feed"),
        (b"{}", "not a feed"),
        (b'{"general": {"update": "20241121120000"}, "pilots": {}}', "not a feed"),
        (b"[" * 200_000, "not a feed"),
        (b'{"pilots": ' + b"9" * 10_000 + b"}", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
    ],
)
def test_what_is_no_snapshot_is_told_with_its_reason(text: bytes, reason: str) -> None:
    with pytest.raises(InvalidSnapshot) as caught:
        decode_snapshot(text)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(reason)


def test_every_cut_of_a_document_is_truncated() -> None:
    whole = document(snapshot(0, [pilot()], [prefile()]))
    for length in range(1, len(whole)):
        with pytest.raises(InvalidSnapshot) as caught:
            decode_snapshot(whole[:length])
        assert caught.value.reason in ("truncated", "not JSON")


def test_more_pilots_than_the_limit_are_dropped_and_counted() -> None:
    general = {"update": "20241121120000"}
    pilots = [{"cid": number, "callsign": "X"} for number in range(1, MAX_PILOTS + 11)]
    decoded = decode_snapshot(encode({"general": general, "pilots": pilots}))
    assert (len(decoded.pilots), decoded.dropped) == (MAX_PILOTS, 10)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "cid",
    "callsign",
    "latitude",
    "longitude",
    "altitude",
    "groundspeed",
    "heading",
    "flight_plan",
    "last_updated",
]


@settings(deadline=None)
@given(st.lists(json_values | st.dictionaries(st.sampled_from(FIELDS), json_values), max_size=4), json_values)
def test_no_entry_whatever_costs_more_than_itself(entries: list[Any], prefiles: Any) -> None:
    raw = raw_document()
    raw["pilots"] += entries
    raw["prefiles"] = prefiles
    assert [pilot.cid for pilot in decode_snapshot(encode(raw)).pilots[:3]] == [1, 2, 3]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_invalid_snapshot(text: bytes) -> None:
    with pytest.raises(InvalidSnapshot):
        decode_snapshot(text)


@pytest.mark.parametrize("entry", [b"{}", b"[]", b"0", b'""'])
def test_document_of_millions_of_entries_is_refused_before_any_is_built(entry: bytes) -> None:
    head = b'{"general":{"update_timestamp":"2026-01-16T14:30:15Z"},"pilots":['
    with pytest.raises(InvalidSnapshot, match="values, at most"):
        decode_snapshot(head + b",".join([entry] * 1_600_000) + b"]}")
