"""Inputs of the sources that detect events themselves, for the contract suite that every source passes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from support.adl_tables import AdlTables
from support.feed import AIRFIELDS, document, pilot
from swim_server.brokers.broker import Publish, Published
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import AdlDatabaseConfig
from swim_server.detection.feed import FeedPilot, Snapshot
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.adl.source import AdlSource
from swim_server.sources.drop.source import DropSource
from swim_server.sources.feeds.ecfmp import EcfmpSource
from swim_server.sources.feeds.http_feed import Answer, FeedTrouble, HttpFeed, Validators
from swim_server.sources.feeds.vatsim import VatsimSource
from swim_server.sources.source import Source

Number = Callable[[NewEvent], int | None]


class Numbered:
    """A source whose events are shown with the number that the test gave them; those without a number are dropped."""

    def __init__(self, source: Source, number: Number) -> None:
        self._source = source
        self._number = number
        self.status = source.status

    async def run(self, publish: Publish) -> None:
        async def publish_numbered(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
            shown = {index: number for index, event in enumerate(events) if (number := self._number(event)) is not None}
            numbered = [
                msgspec.structs.replace(events[index], data={"number": number}) for index, number in shown.items()
            ]
            answers = iter(await publish(numbered, durable=durable) if numbered else [])
            return [next(answers) if index in shown else Published("0-0", True) for index in range(len(events))]

        await self._source.run(publish_numbered)


class FakeFeed(HttpFeed):
    """A feed in memory; ``body`` is its answer, ``None`` means that it can't be reached."""

    def __init__(self) -> None:
        super().__init__("http://feed.invalid/", clock=SYSTEM_CLOCK)
        self.body: bytes | None = None
        self.asked = 0

    def __call__(self, url: str, **_: Any) -> FakeFeed:
        return self

    async def __aenter__(self) -> FakeFeed:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def get(self, validators: Validators) -> Answer | None:
        self.asked += 1
        if self.body is None:
            raise FeedTrouble("unreachable", "the test asked for it")
        etag = f'"{hash(self.body)}"'
        return None if validators.etag == etag else Answer(self.body, Validators(etag))


class DropRig:
    kind = "drop"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "in"
        self._folder_away = folder / "away"
        self._state = folder / "drop.json"
        self._files = 0
        self.folder.mkdir()

    def source(self, **settings: Any) -> DropSource:
        chosen: dict[str, Any] = {
            "interval_seconds": 0.002,
            "retry_seconds": 0.01,
            "catalogue": Catalogue(),
            "is_watching": False,
            "state_path": self._state,
        }
        return DropSource("drop", self.folder, **chosen | settings)

    def provide(self, first: int, count: int) -> None:
        lines = [{"type": "flight.created", "data": {"number": number}} for number in range(first, first + count)]
        self.drop(f"batch-{self._files}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        self._files += 1

    def drop(self, name: str, content: str | bytes) -> None:
        """Provide a file as providers do: written under another name and renamed into the folder."""
        written = self.folder / f".{name}.writing"
        written.write_bytes(content.encode() if isinstance(content, str) else content)
        written.rename(self.folder / name)

    def spoil(self) -> None:
        self.folder.rename(self._folder_away)
        self.folder.write_text("no folder")

    def mend(self) -> None:
        self.folder.unlink()
        self._folder_away.rename(self.folder)


class VatsimRig:
    kind = "vatsim"

    def __init__(self, folder: Path) -> None:
        self._state = folder / "vatsim.json"
        self.feed = FakeFeed()
        self._pilots: list[FeedPilot] = []
        self._at_ms = round(time.time() * 1000) - 3_600_000
        self._good: bytes | None = None
        self._show()

    def source(self, **settings: Any) -> Numbered:
        chosen: dict[str, Any] = {
            "url": self.feed.url,
            "interval_seconds": 0.005,
            "state_path": self._state,
            "airfields": lambda: AIRFIELDS,
            "open_feed": self.feed,
        }
        source = VatsimSource("vatsim", **chosen | settings)
        if not self._state.exists():  # the first snapshot announces nothing: let it be an empty one
            empty = document(Snapshot(self._at_ms - 15_000, [], []))
            self._state.parent.mkdir(exist_ok=True)
            source._taken_file.save(_taken(empty))
        return Numbered(source, self._number)

    def provide(self, first: int, count: int) -> None:
        began = format_ms(self._at_ms)
        self._pilots += [
            pilot(cid=1_000_000 + number, callsign=f"N{number}", logon_time=began, last_updated=began)
            for number in range(first, first + count)
        ]
        self._show()

    def _show(self) -> None:
        self._at_ms += 15_000
        self.feed.body = self._good = document(Snapshot(self._at_ms, self._pilots, []))

    def spoil(self) -> None:
        self.feed.body = (self._good or b"")[:50]

    def mend(self) -> None:
        self.feed.body = self._good

    @staticmethod
    def _number(event: NewEvent) -> int | None:
        return int(event.data["callsign"][1:]) if event.type == "flight.created" else None


def _taken(body: bytes) -> Any:
    from swim_server.sources.feeds.vatsim import Taken

    return Taken(body=body, validators=Validators())


class EcfmpRig:
    kind = "ecfmp"

    def __init__(self, folder: Path) -> None:
        self._state = folder / "ecfmp.json"
        self.feed = FakeFeed()
        self.measures: list[dict[str, Any]] = []
        self._show()

    def source(self, **settings: Any) -> Numbered:
        chosen: dict[str, Any] = {
            "url": self.feed.url,
            "interval_seconds": 0.005,
            "state_path": self._state,
            "open_feed": self.feed,
        }
        source = EcfmpSource("ecfmp", **chosen | settings)
        return Numbered(source, lambda event: event.data["program_id"] if event.type == "tmi.issued" else None)

    def provide(self, first: int, count: int) -> None:
        now_ms = round(time.time() * 1000)
        self.measures += [
            {
                "id": number,
                "starttime": format_ms(now_ms),
                "endtime": format_ms(now_ms + 7_200_000),
                "measure": {"type": "minimum_departure_interval", "value": 120},
                "filters": [{"type": "ADES", "value": ["EGLL"]}],
            }
            for number in range(first, first + count)
        ]
        self._show()

    def _show(self) -> None:
        self.feed.body = json.dumps(self.measures).encode()

    def spoil(self) -> None:
        self.feed.body = b"<html>maintenance</html>"

    def mend(self) -> None:
        self._show()


class AdlRig:
    """Numbers are initiatives; those in force at the first look are not announced, so it happens in advance."""

    kind = "adl"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tables = AdlTables(folder / "adl.db")
        self._away = folder / "adl.db.away"
        self._state_folder = folder / "state"

    def source(self, **settings: Any) -> Numbered:
        chosen: dict[str, Any] = {
            "database": "main",
            "names": self.tables.config(flights=AdlDatabaseConfig()),
            "interval_seconds": 0.01,
            "state_folder": self._state_folder,
        }
        source = AdlSource("adl", **chosen | settings)
        for watch in source._watches:
            if watch._reader.title == "tmis" and watch._state_file.load() is None:
                memory = msgspec.structs.replace(watch._reader.fresh("adl:adl:"), has_begun=True)
                watch._state_file.save(_adl_state(memory))
        return Numbered(source, lambda event: event.data["program_id"] if event.type == "tmi.issued" else None)

    def provide(self, first: int, count: int) -> None:
        path = self.tables.path if self.tables.path.exists() else self._away
        with AdlTablesAt(path).connect() as connection:
            connection.executemany(
                "INSERT INTO tmi_programs (program_id, status) VALUES (?, 'ACTIVE')",
                [(number,) for number in range(first, first + count)],
            )

    def spoil(self) -> None:
        self.tables.path.rename(self._away)

    def mend(self) -> None:
        self._away.rename(self.tables.path)


class AdlTablesAt(AdlTables):
    """Existing tables."""

    def __init__(self, path: Path) -> None:
        self.path = path


def _adl_state(memory: Any) -> Any:
    from swim_server.sources.adl.source import _State

    return _State(memory=memory)
