"""A key database that was brought from another home is noticed once, and its keys are taken as they are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from support.virtual_clock import VirtualClock
from swim_server.keys.audit import Actor
from swim_server.keys.format import Tier
from swim_server.keys.integrity.installation import claim
from swim_server.keys.new_key import NewKey
from swim_server.keys.store import KeyStore
from swim_server.sql.sqlite import open_sqlite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    database = open_sqlite(make_url(f"sqlite:///{tmp_path / 'swim.db'}"))
    store = KeyStore(database, clock=VirtualClock(), randbytes=secrets.token_bytes)
    yield store
    store.close()


def test_a_key_database_of_another_installation_is_told_once(store: KeyStore) -> None:
    issued = store.create(NewKey(tier=Tier.DEVELOPER, owner_name="Ada"), Actor("ada@tower"))
    told = [claim(store.database, name) for name in ("there", "there", "here", "here")]
    assert told == [None, None, "there", None]
    assert store.find(issued.api_key) == issued.record


def test_a_file_without_keys_belongs_to_nobody(store: KeyStore, tmp_path: Path) -> None:
    assert claim(store.database, "here") is None
    assert (tmp_path / "swim.db").stat().st_size == 0
