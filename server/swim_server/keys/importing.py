"""Keys from elsewhere, read from CSV or JSON. Pure; all problems of the file are reported together, never a key."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from swim_server.keys.errors import InvalidKeyField
from swim_server.keys.format import PREFIXES, KeyShape, Tier, classify, digest, is_digest
from swim_server.keys.new_key import NewKey
from swim_server.keys.rows import parse_list
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

Row = Mapping[Any, Any]
MOST_PROBLEMS = 10
_ALIASES = {
    "key": "api_key",
    "owner": "owner_name",
    "email": "owner_email",
    "expires": "expires_at",
    "active": "is_active",
}
_COLUMNS = frozenset(
    {"api_key", "tier", "owner_name", "owner_email", "description", "expires_at", "created_at", "last_used_at"}
    | {"is_active", "source_id", "can_write", "allowed_sources", "ip_whitelist", "owner_cid", "id", "key_hint"}
)
_NOTHING = (None, "", "NULL")
"""Management Studio writes a null as this word."""
_TRUE, _FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"})


class ImportedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that exists elsewhere, ready to be stored."""

    stored: str
    """Its digest."""
    plain: str | None
    """The key itself, if the file has it: the table may hold it as plain text too."""
    new_key: NewKey
    created_at: datetime | None
    last_used_at: datetime | None
    is_active: bool


class InvalidImport(ValueError):
    """A file that can't be imported; nothing was imported."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        shown = "; ".join(self.problems[:MOST_PROBLEMS])
        more = len(self.problems) - MOST_PROBLEMS
        return f"{shown}; and {more} more" if more > 0 else shown


def parse_keys(text: str) -> list[ImportedKey]:
    """Read keys from CSV with a header, or from a JSON list of objects. Raises InvalidImport."""
    text = text.removeprefix("\ufeff")
    rows = _json_rows(text) if text.lstrip()[:1] in {"[", "{"} else _csv_rows(text)
    keys: list[ImportedKey] = []
    problems: list[str] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        try:
            key = _key_of(row)
        except InvalidKeyField as error:
            problems.append(f"{place}: {error}")
            continue
        if key.stored in seen:
            problems.append(f"{place}: the same key as {seen[key.stored]}")
        seen.setdefault(key.stored, place)
        keys.append(key)
    if problems:
        raise InvalidImport(problems)
    return keys


def _json_rows(text: str) -> list[tuple[str, Row]]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidImport([f"not JSON: {error}"]) from None
    except RecursionError:
        raise InvalidImport(["must be a JSON list of objects, not so deeply nested"]) from None
    if isinstance(value, dict):
        value = value.get("keys")
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InvalidImport(["must be a JSON list of objects"])
    return [(f"entry {number}", row) for number, row in enumerate(value, 1)]


def _csv_rows(text: str) -> list[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        rows: list[tuple[str, Row]] = [(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise InvalidImport([f"line {reader.line_num}: {error}"]) from None
    if not reader.fieldnames:
        raise InvalidImport(["it is empty: a header line like api_key,tier,owner_name is asked for"])
    if "api_key" not in {_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in reader.fieldnames}:
        raise InvalidImport(["line 1: no column api_key: a header line like api_key,tier,owner_name is asked for"])
    return rows


def _key_of(raw: Row) -> ImportedKey:
    if None in raw:
        raise InvalidKeyField("columns", len(raw), "has more values than the header has names")
    row = {_column(str(name)): value for name, value in raw.items() if value not in _NOTHING}
    api_key = _api_key(row.get("api_key"))
    new_key = NewKey(
        tier=_tier(row.get("tier"), api_key),
        owner_name=str(row.get("owner_name", "")),
        owner_email=_text(row, "owner_email"),
        description=_text(row, "description"),
        expires_at=_moment(row, "expires_at"),
        ip_whitelist=_list(row, "ip_whitelist"),
        source_id=_text(row, "source_id"),
        can_write=_flag(row, "can_write"),
        allowed_sources=_list(row, "allowed_sources"),
        owner_cid=_integer(row, "owner_cid"),
    )
    new_key.check()
    is_plain = not is_digest(api_key)
    return ImportedKey(
        stored=digest(api_key) if is_plain else api_key,
        plain=api_key if is_plain else None,
        new_key=new_key,
        created_at=_moment(row, "created_at"),
        last_used_at=_moment(row, "last_used_at"),
        is_active=_flag(row, "is_active") is not False,
    )


def _column(name: str) -> str:
    column = name.strip().lower()
    column = _ALIASES.get(column, column)
    if column not in _COLUMNS:
        raise InvalidKeyField("columns", name, "must be columns of swim_api_keys")
    return column


def _api_key(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if is_digest(text):
        if len(text) != len(digest("")):
            raise InvalidKeyField("api_key", "a stored form of another length", "must be a key or its stored form")
        return text
    rules = {
        KeyShape.MISSING: "must be there",
        KeyShape.MALFORMED: "must be printable ASCII without blanks, at most 128 characters",
        KeyShape.MISTYPED: "must have a matching checksum: this one is mistyped",
    }
    if rule := rules.get(classify(text)):
        raise InvalidKeyField("api_key", f"{len(text)} characters", rule)
    return text


def _tier(value: object, api_key: str) -> Tier:
    if value is None:
        for tier, prefix in PREFIXES.items():
            if api_key.startswith(prefix):
                return tier
    try:
        return Tier(str(value).strip().lower())
    except ValueError:
        raise InvalidKeyField("tier", value or "", f"must be one of {', '.join(Tier)}") from None


def _text(row: Mapping[str, object], column: str) -> str | None:
    value = row.get(column)
    return None if value is None else str(value)


def _moment(row: Mapping[str, object], column: str) -> datetime | None:
    value = row.get(column)
    if value is None:
        return None
    text = str(value).strip()
    try:
        return datetime.fromtimestamp(parse_ms(f"{text}T00:00:00Z" if len(text) == 10 else text) / 1000, UTC)
    except (InvalidTimestamp, ValueError, OverflowError, OSError):
        raise InvalidKeyField(column, value, "must be a date or time like 2027-01-31T12:00:00Z") from None


def _list(row: Mapping[str, object], column: str) -> tuple[str, ...] | None:
    value = row.get(column)
    return parse_list(json.dumps(value) if isinstance(value, list) else value if value is None else str(value))


def _flag(row: Mapping[str, object], column: str) -> bool | None:
    value = row.get(column)
    text = str(value).strip().lower()
    if value is None or text in _TRUE | _FALSE:
        return None if value is None else text in _TRUE
    raise InvalidKeyField(column, value, "must be 1 or 0")


def _integer(row: Mapping[str, object], column: str) -> int | None:
    value: Any = row.get(column)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidKeyField(column, value, "must be a whole number") from None
