"""Characters that act on a terminal or break a line: escaped in JSON, and the same to every reader."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.control_characters import escape_json, escape_json_text
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import encode

BAD = "\x7f\x80\x9b2J\x9f\u2028\u2029\u202e\u2066\u200f\u061c"


@given(st.text(alphabet=st.one_of(st.sampled_from(BAD), st.characters(exclude_categories=["Cs"]))))
def test_escaped_json_says_the_same_and_holds_none_of_them(text: str) -> None:
    encoded = escape_json(msgspec.json.encode({"route": text}))
    assert json.loads(encoded) == {"route": text}
    assert not set(encoded.decode()) & set(BAD) - {"2", "J"}
    as_text = escape_json_text(json.dumps({"route": text}, ensure_ascii=False))
    assert json.loads(as_text) == {"route": text}
    assert not set(as_text) & set(BAD) - {"2", "J"}


def test_what_has_none_of_them_is_not_copied() -> None:
    encoded = b'{"route":"DCT"}'
    assert escape_json(encoded) is encoded


def test_event_is_harmless_on_its_way_and_a_part_of_it_too() -> None:
    event = encode("flight.created", "", EventId(1, 0), {"route": BAD})
    for each in (event, event.with_data({"remark": BAD})):
        assert not set(each.wire.decode()) & set(BAD) - {"2", "J"}
    assert json.loads(event.wire)["data"]["route"] == BAD
