"""Decodes documents of the VATSIM feed: all at once, or entry by entry if one is malformed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, TypeVar

import msgspec

from swim_server.detection.feed import (
    MAX_PILOTS,
    FeedGeneral,
    FeedPilot,
    FeedPlan,
    FeedPrefile,
    InvalidSnapshot,
    Snapshot,
)
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_LOOKED_AT = 2 * MAX_PILOTS
"""Maximum number of entries examined in a malformed document, including valid ones."""
MAX_PARTS = 1_500_000
"""Maximum number of commas, brackets and braces in a document: several times that of the largest one. Each part costs
memory, however short it is, when the whole document is built.
"""
UNCOUNTED_BYTES = 8 * 1024 * 1024
"""Up to this size, a document takes at most some ten times as much memory: its parts need not be counted."""

Entry = TypeVar("Entry", FeedPilot, FeedPrefile)


class _Document(msgspec.Struct):
    general: FeedGeneral
    pilots: list[FeedPilot]
    prefiles: list[FeedPrefile] | None = None


_BLANK = re.compile(r"\s")
_decoder = msgspec.json.Decoder(_Document)


def decode_snapshot(document: bytes) -> Snapshot:
    """Decode one document of the feed. Raises InvalidSnapshot if it is truncated, not JSON, or not the feed.

    All at once if every entry is well-formed; otherwise entry by entry, repairing or dropping malformed ones.
    """
    if len(document) > UNCOUNTED_BYTES:
        _check_parts(document)
    try:
        decoded = _decoder.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(document)
    if _has_blank([*decoded.pilots, *(decoded.prefiles or ())]):
        return _decode_leniently(document)
    return snapshot_of(decoded.general, decoded.pilots, decoded.prefiles, 0)


def _check_parts(document: bytes) -> None:
    """Refuse a document with too many parts, which take far more memory than its bytes. Raises InvalidSnapshot."""
    if len(document) <= MAX_PARTS:
        return
    parts = sum(map(document.count, (b",", b"{", b"[")))
    if parts > MAX_PARTS:
        raise InvalidSnapshot("not a feed", f"it has {parts:,} values, at most {MAX_PARTS:,} are read")


def _has_blank(entries: Sequence[FeedPilot | FeedPrefile]) -> bool:
    """Tell whether a callsign contains a blank. One search for all: a pattern for each costs a quarter of decoding."""
    return _BLANK.search("".join([entry.callsign for entry in entries])) is not None


def snapshot_of(
    general: FeedGeneral, pilots: list[FeedPilot], prefiles: list[FeedPrefile] | None, dropped: int
) -> Snapshot:
    """Build a snapshot within its limits. Raises InvalidSnapshot if it doesn't report its time."""
    kept_prefiles = None if prefiles is None else prefiles[:MAX_PILOTS]
    dropped += max(0, len(pilots) - MAX_PILOTS) + max(0, len(prefiles or ()) - MAX_PILOTS)
    return Snapshot(update_stamp_ms(general), pilots[:MAX_PILOTS], kept_prefiles, dropped)


def update_stamp_ms(general: FeedGeneral) -> int:
    """Read the timestamp of a snapshot. Raises InvalidSnapshot if neither form can be read."""
    for text in (general.update_timestamp, _rfc3339(general.update)):
        try:
            return parse_ms(text)
        except InvalidTimestamp:
            continue
    raise InvalidSnapshot(
        "not a feed", f"general.update_timestamp is not a time: {str(general.update_timestamp)[:40]!r}"
    )


def _rfc3339(digits: str | None) -> str | None:
    if digits is None or len(digits) != 14:
        return None
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}Z"


def _decode_leniently(document: bytes) -> Snapshot:
    """Decode entry by entry. An entry without member number or callsign is dropped, an invalid field becomes None.

    Raises InvalidSnapshot.
    """
    _check_parts(document)
    root, is_clean = _decode_json(document)
    if not isinstance(root, dict):
        raise InvalidSnapshot("not a feed", f"a JSON object is expected, got {type(root).__name__}")
    pilots = root.get("pilots")
    if not isinstance(pilots, list):
        raise InvalidSnapshot("not a feed", "it has no list of pilots")
    kept_pilots = _repair_all(pilots[:MAX_LOOKED_AT], FeedPilot, is_clean)
    prefiles = root.get("prefiles")
    kept_prefiles = None
    if isinstance(prefiles, list):
        kept_prefiles = _repair_all(prefiles[:MAX_LOOKED_AT], FeedPrefile, is_clean)
    dropped = len(pilots) - len(kept_pilots)
    if kept_prefiles is not None and isinstance(prefiles, list):
        dropped += len(prefiles) - len(kept_prefiles)
    general = root.get("general")
    return snapshot_of(_general(general if isinstance(general, dict) else {}), kept_pilots, kept_prefiles, dropped)


def _decode_json(document: bytes) -> tuple[object, bool]:
    """Decode any JSON, including what the standard library accepts beyond it: NaN, infinities, lone surrogates.

    The second value tells whether it is free of those.
    """
    try:
        return msgspec.json.decode(document), True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(document.decode("utf-8", "replace")), False
    except RecursionError:
        raise InvalidSnapshot("not a feed", "it is nested too deeply") from None
    except ValueError as error:
        raise _why_not_json(document, error) from None


def _why_not_json(document: bytes, error: ValueError) -> InvalidSnapshot:
    ends = document.strip()
    if not ends:
        return InvalidSnapshot("truncated", "it is empty")
    if ends.startswith(b"{") and not ends.endswith(b"}"):
        return InvalidSnapshot("truncated", f"it ends in the middle, after {len(document)} bytes")
    return InvalidSnapshot("not JSON", str(error)[:200])


def _general(raw: JsonObject) -> FeedGeneral:
    values = {name: raw[name] for name in FeedGeneral.__struct_fields__ if isinstance(raw.get(name), str)}
    return FeedGeneral(**values)


def _repair_all(raw_entries: list[Any], entry_type: type[Entry], is_clean: bool) -> list[Entry]:
    entries = (_repair(raw, entry_type, is_clean) for raw in raw_entries)
    return [entry for entry in entries if entry is not None]


def _repair(raw: object, entry_type: type[Entry], is_clean: bool) -> Entry | None:
    if not isinstance(raw, dict):
        return None
    if is_clean:
        try:
            entry = msgspec.convert(raw, entry_type)
        except msgspec.ValidationError:
            pass
        else:
            if not _has_blank([entry]):
                return entry
    plan = raw.get("flight_plan")
    kept = _convertible(raw, entry_type)
    if isinstance(plan, dict):
        kept["flight_plan"] = _convertible(plan, FeedPlan)
    try:
        mended = msgspec.convert(kept, entry_type)
    except msgspec.ValidationError:
        return None
    return None if _has_blank([mended]) else mended


def _convertible(raw: JsonObject, struct_type: type[msgspec.Struct]) -> JsonObject:
    """Keep the fields whose value has the right type."""
    kept = {}
    for field in msgspec.structs.fields(struct_type):
        value = _presentable(raw.get(field.name))
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
        kept[field.name] = value
    return kept


def _presentable(value: object) -> Any:
    """Replace what can't go to the wire: infinities, lone surrogates, surrounding blanks."""
    if isinstance(value, str):
        return value.strip().encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
