"""Well-formed objects are found in order, whatever surrounds them; the rest is returned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.sources.event_file.text import MAX_KEPT_CHARACTERS, Found, ObjectScanner, Unreadable


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "flight.created", "data": {"number": number, "route": 'A{"B" ]},', "nested": [{"x": {}}]}} | more


def dumped(number: int) -> str:
    return json.dumps(event(number))


def scan(*chunks: bytes) -> tuple[list[dict[str, Any]], list[Unreadable]]:
    scanner = ObjectScanner()
    pieces: list[Found | Unreadable] = []
    for chunk in chunks:
        pieces += scanner.feed(chunk)
    pieces += scanner.finish()
    found = [piece.value for piece in pieces if isinstance(piece, Found)]
    return found, [piece for piece in pieces if isinstance(piece, Unreadable)]


def numbers(found: Iterable[dict[str, Any]]) -> list[int]:
    return [value["data"]["number"] for value in found]


TIDY = {
    "nothing": ("", 0),
    "an empty array": ("[]", 0),
    "an array": (f"[{dumped(0)}, {dumped(1)}]", 2),
    "an array over lines": (f"[\n  {dumped(0)},\r\n\t{dumped(1)}\n]\n", 2),
    "indented": (json.dumps([event(0), event(1)], indent=4), 2),
    "lines": (f"{dumped(0)}\n{dumped(1)}\n", 2),
    "lines without the last end": (f"{dumped(0)}\r\n{dumped(1)}", 2),
    "an array, then lines": (f"[{dumped(0)}]\n{dumped(1)}\n{dumped(2)}", 3),
    "an array, then a line without a break": (f"[{dumped(0)}]{dumped(1)}", 2),
    "a line, then an array": (f"{dumped(0)}\n[{dumped(1)}]", 2),
    "two arrays": (f"[{dumped(0)}][{dumped(1)}]", 2),
    "an array in an array": (f"[[{dumped(0)}],{dumped(1)}]", 2),
    "a trailing comma": (f"[{dumped(0)},]", 1),
    "too many commas": (f",[,{dumped(0)},,{dumped(1)},],", 2),
    "an array that was not closed": (f"[{dumped(0)},{dumped(1)}", 2),
    "an array that was not opened": (f"{dumped(0)},{dumped(1)}]", 2),
    "a byte order mark": (f"\ufeff[{dumped(0)}]", 1),
    "a byte order mark in the middle": (f"[{dumped(0)}]\n\ufeff[{dumped(1)}]", 2),
}


@pytest.mark.parametrize(("text", "count"), TIDY.values(), ids=TIDY.keys())
def test_all_objects_are_found_and_nothing_is_unreadable(text: str, count: int) -> None:
    found, unreadable = scan(text.encode())
    assert numbers(found) == list(range(count))
    assert unreadable == []


UNTIDY = {
    "text before": ("hello " + dumped(0), 1, ["hello "]),
    "text between": (f"{dumped(0)} hello {dumped(1)}", 2, ["hello"]),
    "text after": (f"[{dumped(0)}] hello", 1, ["hello"]),
    "numbers and words": (f"[1, null, {dumped(0)}, true]", 1, ["1, null", "true"]),
    "a cut object between lines": (f'{dumped(0)}\n{{"type": "flight.cr\n{dumped(1)}', 2, ['{"type": "flight.cr']),
    "a cut object before a comma": (f'[{dumped(0)}, {{"type": "fl, {dumped(1)}]', 2, ['{"type": "fl']),
    "a cut object at the end": (f'[{dumped(0)}, {{"type": "flight.created", "data": {{"a": 1', 1, None),
    "a cut key": (f'{{"ty{dumped(0)}', 1, ['{"ty']),
    "a value that the next object takes the place of": (f'{{"a": {dumped(0)},\n{dumped(1)}\n', 2, ['{"a":']),
    "a stray quote": (f'" {dumped(0)}', 1, ['"']),
    "a stray brace": (f"{{ {dumped(0)} }} {dumped(1)}", 2, ["{", "}"]),
    "single quotes": (f"{{'type': 'flight.created'}}\n{dumped(0)}", 1, ["{'type': 'flight.created'}"]),
    "zeros": (f"{dumped(0)}\n" + "\0" * 5000 + f"\n{dumped(1)}", 2, ["\0" * 5000]),
    "an object inside a broken one": ('{"type": tmi.issued, "data": {"a": 1}}\n' + dumped(0), 1, None),
    "a raw line break in a string": ('{"type": "flight.\ncreated"}\n' + dumped(0), 1, None),
    "a nest without a bottom": ('{"a":' * 500 + dumped(0), 1, None),
    "a number without an end": ('{"a":' + "9" * 10_000 + "}" + dumped(0), 1, None),
}


@pytest.mark.parametrize(("text", "count", "rest"), UNTIDY.values(), ids=UNTIDY.keys())
def test_objects_around_what_is_unreadable_are_found(text: str, count: int, rest: list[str] | None) -> None:
    found, unreadable = scan(text.encode())
    assert numbers(found) == list(range(count))
    assert len(unreadable) == (1 if rest is None else len(rest))
    for piece, expected in zip(unreadable, rest or [], strict=False):
        assert piece.text.strip() == expected.strip()
        assert text[piece.position :].startswith(expected.strip()[:20])


def test_bytes_that_are_no_utf8_spoil_no_other_object() -> None:
    found, unreadable = scan(b"\xff\xfe " + dumped(0).encode() + b"\n\x80garbage\xc3\n" + dumped(1).encode())
    assert numbers(found) == [0, 1]
    assert [piece.text.encode("utf-8", "surrogateescape").strip() for piece in unreadable] == [
        b"\xff\xfe",
        b"\x80garbage\xc3",
    ]


def test_an_object_that_is_no_event_is_found_where_it_stands_free() -> None:
    found, unreadable = scan(b'[{"foo": 1}, {}]')
    assert (found, unreadable) == ([{"foo": 1}, {}], [])


def test_a_reason_says_what_was_wrong() -> None:
    _, unreadable = scan(b'nonsense {"type": oops} {"type": "x')
    assert [piece.reason for piece in unreadable] == ["it is no JSON object"]
    assert scan(b'{"type": oops, "data": 0000000000000000}')[1][0].reason == "expecting value"
    assert scan(b'{"type": "x')[1][0].reason == "it is cut off"


def test_a_long_unreadable_stretch_is_counted_and_its_beginning_kept() -> None:
    _, (piece,) = scan(b"x" * 3_000_000)
    assert (len(piece.text), piece.length) == (MAX_KEPT_CHARACTERS, 3_000_000)


@pytest.mark.parametrize(
    "text",
    ["{" * 300_000, '{"a":' * 100_000, '{"a":[' * 100_000, "x[" * 300_000, '{"' * 300_000, '{"a":{},' * 100_000],
)
def test_hostile_text_takes_no_time_out_of_proportion(text: str) -> None:
    found, unreadable = scan(f"{text}\n{dumped(0)}".encode())
    assert numbers(found) == [0]
    assert len(unreadable) == 1


# A piece of the file: what is written, and how many events it holds.
good = st.integers(0, 3).flatmap(
    lambda count: st.sampled_from(
        [
            lambda numbers: json.dumps([event(number) for number in numbers]),
            lambda numbers: "".join(f"{dumped(number)}\n" for number in numbers),
            lambda numbers: "".join(f"{dumped(number)},\r\n" for number in numbers),
            lambda numbers: "[" + "".join(f"{dumped(number)}, " for number in numbers),
            lambda numbers: "".join(dumped(number) for number in numbers) + "]",
            lambda numbers: "\ufeff" + json.dumps([event(number) for number in numbers], indent=1),
        ]
    ).map(lambda write: (count, write))
)
cut = st.integers(1, len(dumped(9)) - 1).map(lambda length: dumped(9)[:length])
garbage = st.one_of(
    cut,
    st.text(alphabet=st.characters(exclude_characters="}", exclude_categories=["Cs"]), max_size=30),
    st.text(alphabet='{":,[]\\ \na0', max_size=30),
)


@given(pieces=st.lists(st.one_of(good, garbage), max_size=8), chunk=st.integers(1, 200))
def test_every_event_is_found_whatever_stands_between(pieces: list[Any], chunk: int) -> None:
    text, count = "", 0
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
        else:
            length, write = piece
            text += write(range(count, count + length))
            count += length
    content = text.encode()
    found, unreadable = scan(*(content[start : start + chunk] for start in range(0, len(content), chunk)))
    assert numbers(value for value in found if "data" in value) == list(range(count))
    assert (found, [piece.text for piece in unreadable]) == (
        scan(content)[0],
        [piece.text for piece in scan(content)[1]],
    )


@given(content=st.binary(max_size=300), chunk=st.integers(1, 50))
def test_any_bytes_are_read_to_their_end(content: bytes, chunk: int) -> None:
    scan(*(content[start : start + chunk] for start in range(0, len(content), chunk)))
