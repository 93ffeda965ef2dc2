from __future__ import annotations

import pytest
from support.feed import NOON_MS, Network, beside, pilot, plan, positions, prefile, snapshot, stamp, types
from swim_server.detection.comparison import flight_uid
from swim_server.detection.feed import FeedPilot, FeedPlan

FLYING = {**beside("EDDF", 30), "altitude": 20_000, "groundspeed": 400}


def flying(at: float, **values: object) -> FeedPilot:
    return pilot(at, **{**FLYING, **values})


@pytest.fixture
def network() -> Network:
    """A network that has been seen once, with one other pilot."""
    network = Network()
    network.see(0, [pilot(0, cid=9, callsign="BAW9")], [])
    return network


def other(at: float) -> FeedPilot:
    return pilot(at, cid=9, callsign="BAW9")


# Created


def test_a_pilot_seen_first_is_created_with_all_that_is_known(network: Network) -> None:
    created = network.see(15, [other(15), pilot(14, heading=360)])[0]
    assert created.type == "flight.created"
    assert created.timestamp_ms == NOON_MS + 14_000
    assert created.data == {
        "callsign": "DLH1AB",
        "flight_uid": flight_uid(1000001, "DLH1AB", stamp(-600)),
        "dep": "EDDF",
        "arr": "EDDM",
        "equipment": "A320/L",
        "route": "DCT",
        "latitude": 50.0333,
        "longitude": 8.5706,
        "altitude_ft": 364,
        "groundspeed_kts": 0,
        "heading_deg": 0,
        "current_artcc": None,
        "current_fir": None,
        "current_sector": None,
        "phase": "PREFLIGHT",
    }


def test_a_prefile_seen_first_is_created_without_a_position(network: Network) -> None:
    (created,) = network.see(15, [other(15)], [prefile(10)])
    assert created.type == "flight.created"
    assert created.timestamp_ms == NOON_MS + 10_000
    names = ("latitude", "longitude", "altitude_ft", "groundspeed_kts", "heading_deg", "current_artcc")
    assert [created.data[name] for name in names] == [None] * 6


def test_a_prefile_filed_long_ago_is_dated_to_the_snapshot_that_shows_it(network: Network) -> None:
    (created,) = network.see(15, [other(15)], [prefile(-9000)])
    assert created.timestamp_ms == NOON_MS + 15_000


def test_equipment_is_told_whole_however_long(network: Network) -> None:
    """Until 2021 the feed had it as filed, with all codes of item 10."""
    whole = "B789/H-SADE1E2E3FGHIJ1J3J4J5J6LM1M2OP2RWXYZ/LB1D1G1"
    filed = FeedPlan(aircraft=whole, departure="EDDF", arrival="EDDM", route="DCT")
    created = network.see(15, [other(15), pilot(15, flight_plan=filed)])[0]
    assert created.data["equipment"] == whole


def test_a_pilot_without_plan_is_created_with_nulls(network: Network) -> None:
    created = network.see(15, [other(15), pilot(15, flight_plan=None)])[0]
    assert [created.data[name] for name in ("dep", "arr", "equipment", "route")] == [None] * 4


@pytest.mark.parametrize(
    ("sent", "told"), [("eddf", "EDDF"), ("", None), ("  ", None), (" atl ", "ATL"), (None, None), ("39N", "39N")]
)
def test_aerodromes_are_upper_cased_and_empty_ones_null(network: Network, sent: str | None, told: str | None) -> None:
    created = network.see(15, [other(15), pilot(15, flight_plan=FeedPlan(departure=sent, arrival=sent))])[0]
    assert (created.data["dep"], created.data["arr"]) == (told, told)


@pytest.mark.parametrize(
    ("faa", "short", "full", "told"),
    [
        ("H/B77W/L", "B77W", "B77W/H-VGDW/C", "H/B77W/L"),
        ("", "CVLP", "CVLP/L-", "CVLP"),
        (None, None, "C172/L", "C172/L"),
        ("", "", "", None),
    ],
)
def test_equipment_is_the_faa_form_else_the_type(
    network: Network, faa: str | None, short: str | None, full: str, told: str | None
) -> None:
    filed = FeedPlan(aircraft=full, aircraft_faa=faa, aircraft_short=short)
    assert network.see(15, [other(15), pilot(15, flight_plan=filed)])[0].data["equipment"] == told


def test_one_member_with_two_callsigns_has_two_flights(network: Network) -> None:
    events = network.see(15, [other(15), pilot(15, callsign="DLH1"), pilot(15, callsign="DLH2")])
    assert types(events) == ["created", "created"]
    assert len({event.data["flight_uid"] for event in events[:2]}) == 2


def test_one_callsign_of_two_members_is_two_flights(network: Network) -> None:
    assert types(network.see(15, [other(15), pilot(15, cid=1), pilot(15, cid=2)])) == ["created", "created"]


def test_a_pilot_listed_twice_counts_once_with_the_newer_report(network: Network) -> None:
    events = network.see(15, [other(15), flying(14, heading=90), flying(2, heading=10)])
    assert types(events) == ["created"]
    assert events[0].data["heading_deg"] == 90


# Updated


def test_a_prefile_that_connects_is_updated_and_keeps_its_number(network: Network) -> None:
    (created,) = network.see(15, [other(15)], [prefile(10)])
    events = network.see(30, [other(30), pilot(28)])
    assert types(events) == ["updated"]
    updated = events[0].data
    assert updated["flight_uid"] == created.data["flight_uid"]
    assert updated["changed"] == ["latitude", "longitude", "altitude_ft", "groundspeed_kts", "heading_deg"]
    assert updated["latitude"] == 50.0333


def test_a_prefile_that_connects_with_an_edited_plan_tells_both(network: Network) -> None:
    network.see(15, [other(15)], [prefile(10)])
    (updated, _) = network.see(30, [other(30), pilot(28, flight_plan=plan(arr="EGLL"))])
    assert updated.data["changed"][:2] == ["arr", "latitude"]


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        (plan(arr="EGLL"), ["arr"]),
        (plan(dep="EDDM", arr="EDDF"), ["dep", "arr"]),
        (plan(aircraft="B738"), ["equipment"]),
        (plan(route="OBOKA UL610"), ["route"]),
        (FeedPlan(), None),
        (plan(full="A320/M-XYZ"), None),
        (plan("eddf", "eddm"), None),
    ],
)
def test_an_edited_plan_is_updated_with_the_wire_fields_that_differ(
    network: Network, edited: FeedPlan, changed: list[str] | None
) -> None:
    network.see(15, [other(15), flying(15)])
    events = network.see(30, [other(30), flying(30, flight_plan=edited)])
    assert types(events) == (["updated"] if changed else [])
    assert not changed or events[0].data["changed"] == changed


def test_an_edited_prefile_is_updated(network: Network) -> None:
    network.see(15, [other(15)], [prefile(10)])
    (updated,) = network.see(30, [other(30)], [prefile(25, flight_plan=plan(arr="LSZH"))])
    assert (updated.type, updated.data["changed"], updated.data["arr"]) == ("flight.updated", ["arr"], "LSZH")


def test_a_plan_edited_by_a_frozen_aircraft_is_updated_all_the_same(network: Network) -> None:
    network.see(15, [other(15), flying(14)])
    events = network.see(30, [other(30), flying(14, flight_plan=plan(arr="EGLL"))])
    assert [event.type for event in events] == ["flight.updated"]


def test_a_plan_missing_from_one_snapshot_is_kept(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    assert types(network.see(30, [other(30), flying(30, flight_plan=None)])) == []
    assert types(network.see(45, [other(45), flying(45)])) == []


def test_a_plan_missing_from_two_snapshots_was_withdrawn(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    network.see(30, [other(30), flying(30, flight_plan=None)])
    updated = network.see(45, [other(45), flying(45, flight_plan=None)])[0]
    assert updated.data["changed"] == ["dep", "arr", "equipment", "route"]
    assert updated.data["dep"] is None


def test_the_plan_of_a_prefile_still_listed_serves_a_pilot_sent_without(network: Network) -> None:
    network.see(15, [other(15)], [prefile(10)])
    updated = network.see(30, [other(30), pilot(28, flight_plan=None)], [prefile(10)])[0]
    assert updated.data["dep"] == "EDDF"
    assert "dep" not in updated.data["changed"]


def test_a_position_that_first_made_no_sense_is_told_when_it_does(network: Network) -> None:
    created = network.see(15, [other(15), flying(15, latitude=None)])[0]
    assert created.data["latitude"] is None
    updated = network.see(30, [other(30), flying(30)])[0]
    assert updated.data["changed"][0] == "latitude"


def test_each_edit_has_a_name_of_its_own_even_when_it_goes_back_and_forth(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    names = []
    for at in (30, 45, 60, 75):
        edited = plan(arr="EGLL" if at % 2 else "EDDS")
        events = network.see(at, [other(at), flying(at, flight_plan=edited)])
        names += [event.event_id for event in events if event.type == "flight.updated"]
    assert len(names) == len(set(names)) == 4


# Deleted, reconnected, renamed


def test_absent_from_two_snapshots_in_a_row_is_deleted_with_the_last_position(network: Network) -> None:
    network.see(15, [other(15), flying(14)])
    assert types(network.see(30, [other(30)])) == []
    (deleted,) = network.see(45, [other(45)])
    assert deleted.type == "flight.deleted"
    assert deleted.timestamp_ms == NOON_MS + 45_000
    assert (deleted.data["altitude_ft"], deleted.data["dep"], deleted.data["arr"]) == (20_000, "EDDF", "EDDM")
    assert types(network.see(60, [other(60)])) == []


def test_a_withdrawn_prefile_is_deleted(network: Network) -> None:
    network.see(15, [other(15)], [prefile(10)])
    network.see(30, [other(30)])
    (deleted,) = network.see(45, [other(45)])
    assert (deleted.type, deleted.data["latitude"]) == ("flight.deleted", None)


def test_absent_once_and_back_is_nothing(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    network.see(30, [other(30)])
    assert types(network.see(45, [other(45), flying(45)])) == []
    assert types(network.see(60, [other(60)])) == []


def test_a_reconnect_before_deletion_keeps_the_number(network: Network) -> None:
    uid = network.see(15, [other(15), flying(15)])[0].data["flight_uid"]
    network.see(30, [other(30)])
    events = network.see(90, [other(90), flying(89, logon_time=stamp(70), heading=1)])
    assert types(events) == []
    assert positions(events)[0]["flight_uid"] == uid


def test_a_return_after_deletion_with_a_new_logon_is_a_new_flight(network: Network) -> None:
    uid = network.see(15, [other(15), flying(15)])[0].data["flight_uid"]
    for at in (30, 45):
        network.see(at, [other(at)])
    created = network.see(60, [other(60), flying(60, logon_time=stamp(55))])[0]
    assert created.type == "flight.created"
    assert created.data["flight_uid"] != uid


def test_the_same_connection_seen_again_after_deletion_is_the_same_flight_under_another_event(network: Network) -> None:
    first = network.see(15, [other(15), flying(15)])[0]
    for at in (30, 45):
        network.see(at, [other(at)])
    again = network.see(60, [other(60), flying(60)])[0]
    assert again.type == "flight.created"
    assert again.data["flight_uid"] == first.data["flight_uid"]
    assert again.event_id != first.event_id


def test_another_callsign_in_flight_is_a_new_flight_and_the_old_one_is_deleted_later(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    assert types(network.see(30, [other(30), flying(30, callsign="DLH2")])) == ["created"]
    assert types(network.see(45, [other(45), flying(45, callsign="DLH2")])) == ["deleted"]


def test_a_pilot_that_leaves_its_plan_behind_as_prefile_stays(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    for at in (30, 45, 60):
        assert network.see(at, [other(at)], [prefile(20)]) == []
    assert types(network.see(75, [other(75)])) == []
    (deleted,) = network.see(90, [other(90)])
    assert deleted.data["altitude_ft"] == 20_000


def test_prefiles_that_the_snapshot_does_not_tell_are_not_missed(network: Network) -> None:
    network.see(15, [other(15)], [prefile(10)])
    for at in (30, 45, 60):
        assert network.see(at, [other(at)], None) == []


def test_a_list_of_prefiles_that_is_suddenly_empty_is_not_believed(network: Network) -> None:
    filed = [prefile(10, cid=number) for number in range(1, 31)]
    network.see(15, [other(15)], filed)
    for at in (30, 45, 60):
        assert network.see(at, [other(at)], []) == []


def test_what_is_remembered_of_deleted_flights_ends_after_an_hour(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    for at in (30, 45):
        network.see(at, [other(at)])
    assert len(network.network_state.gone) == 1
    for at in (1800, 3644, 3700):
        network.see(at, [other(at)])
    assert (network.network_state.gone, network.network_state.gone_ms) == ({}, {})


# Positions


def test_positions_hold_those_that_changed(network: Network) -> None:
    parked = pilot(15, cid=2, callsign="PARKED")
    network.see(15, [other(15), parked, flying(15)])
    parked_later = pilot(30, cid=2, callsign="PARKED")
    events = network.see(
        30, [other(30), parked_later, flying(28, **beside("EDDF", 31.5), altitude=20_500, heading=-10)]
    )
    assert [event.type for event in events] == ["flight.positions"]
    assert events[0].timestamp_ms == NOON_MS + 30_000
    data = events[0].data
    assert data["count"] == 1
    where = beside("EDDF", 31.5)
    assert data["positions"] == [
        {
            "callsign": "DLH1AB",
            "flight_uid": flight_uid(1000001, "DLH1AB", stamp(-600)),
            "latitude": where["latitude"],
            "longitude": where["longitude"],
            "altitude_ft": 20_500,
            "groundspeed_kts": 400,
            "heading_deg": 350,
            "vertical_rate_fpm": 2308,
            "current_artcc": None,
            "current_fir": None,
            "dep": "EDDF",
            "arr": "EDDM",
            "phase": "CLIMBING",
        }
    ]


def test_a_frozen_aircraft_has_no_new_position(network: Network) -> None:
    network.see(15, [other(15), flying(14)])
    assert network.see(30, [other(30), flying(14)]) == []


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({"altitude": 20_250}, 1000),
        ({"altitude": 19_000}, -4000),
        ({"altitude": 90_000}, 20_000),
        ({"altitude": None}, None),
        ({**beside("EDDF", 300), "altitude": 20_250}, None),
    ],
)
def test_vertical_rate_is_the_climb_between_two_reports(
    network: Network, values: dict[str, object], rate: int | None
) -> None:
    network.see(15, [other(15), flying(15)])
    (position,) = positions(network.see(30, [other(30), flying(30, **{"heading": 1, **values})]))
    assert position["vertical_rate_fpm"] == rate


def test_vertical_rate_over_many_minutes_is_unknown(network: Network) -> None:
    network.see(15, [other(15), flying(15)])
    network.see(30, [other(30), flying(15)])
    (position,) = positions(network.see(315, [other(315), flying(315, **beside("EDDF", 50), altitude=25_000)]))
    assert position["vertical_rate_fpm"] is None


def test_positions_held_back_come_with_the_next_call_that_has_them() -> None:
    network = Network()
    network.see(0, [flying(0)])
    assert network.see(15, [flying(15, heading=1)], with_positions=False) == []
    assert len(positions(network.see(30, [flying(15, heading=1)]))) == 1
    assert network.see(45, [flying(15, heading=1)]) == []


# Names


def test_a_second_detection_from_an_older_stage_gives_the_same_names() -> None:
    """Killed after publishing and before saving: the network state is older, and the next snapshot is a later one."""
    lives = []
    for lost in (False, True):
        network = Network(scope="run1:")
        network.see(0, [pilot(0), flying(0, cid=3, callsign="DLH3")])
        if not lost:
            network.see(15, [pilot(15, altitude=1200, groundspeed=160, **beside("EDDF", 0.4))])
        network.see(30, [pilot(30, altitude=2200, groundspeed=180, **beside("EDDF", 1.1))], [prefile(10, cid=4)])
        network.see(45, [pilot(45, altitude=3000, groundspeed=190, **beside("EDDF", 1.9))], [prefile(10, cid=4)])
        lives.append({event.event_id for event in network.events if event.type != "flight.positions"})
    assert len(lives[0]) == 3
    assert lives[0] == lives[1]


def test_names_begin_with_the_scope_of_the_stage() -> None:
    network = Network(scope="loop 2:")
    network.see(0, [])
    created = network.take(snapshot(15, [pilot(15)])).events[0]
    assert created.event_id == f"loop 2:{NOON_MS}:flight.created:{created.data['flight_uid']}:0"


def test_a_report_whose_time_stands_still_is_new_when_the_aircraft_has_moved(network: Network) -> None:
    """As in recordings of others, which don't keep the times of the reports."""
    constant = {"last_updated": stamp(0)}
    network.see(0, [pilot(0, **constant)])
    network.see(15, [pilot(0, **constant, **beside("EDDF", 0.4), groundspeed=90)])
    network.see(30, [pilot(0, **constant, **beside("EDDF", 1.2), altitude=1400, groundspeed=160)])
    network.see(45, [pilot(0, **constant, **beside("EDDF", 1.2), altitude=1400, groundspeed=160)])
    (departed,) = [event for event in network.events if event.type == "flight.departed"]
    assert departed.timestamp_ms == NOON_MS + 30_000
    assert len(positions(network.events)) == 2
