from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.detection.comparison import flight_key, flight_uid


def test_uid_is_the_same_on_every_machine() -> None:
    assert flight_uid(1709777, "KLM342", "2024-11-21T12:56:50.9917675Z") == 2745170494614316


@settings(deadline=None)
@given(st.integers(1, 2**53), st.text(max_size=24), st.none() | st.text(max_size=40))
def test_uid_is_positive_and_below_2_to_the_53(cid: int, callsign: str, began: str | None) -> None:
    assert 0 < flight_uid(cid, callsign, began) < 2**53


def test_uid_differs_by_member_callsign_and_beginning() -> None:
    uids = {flight_uid(cid, callsign, began) for cid in (1, 2) for callsign in ("A", "B") for began in ("x", "y", None)}
    assert len(uids) == 12


def test_key_tells_members_of_one_callsign_apart() -> None:
    assert flight_key(1, "DLH1") != flight_key(2, "DLH1")
