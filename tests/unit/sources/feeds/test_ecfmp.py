"""The source of flow measures: FIRs by their numbers in a list of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.source_rigs import EcfmpRig, FakeFeed
from support.sources import Recorder, Running, eventually
from swim_server.sources.feeds.ecfmp import EcfmpSource, regions_url
from swim_server.sources.feeds.http_feed import Answer, FeedTrouble, Validators

MEASURES = "https://ecfmp.invalid/api/v1/flow-measure?deleted=1"


class TwoFeeds(FakeFeed):
    """Measures at one address, FIRs at the other."""

    def __init__(self) -> None:
        super().__init__()
        self.regions: list[dict[str, Any]] | None = [{"id": 48, "identifier": "LSAS"}]
        self.asked_for: list[str] = []

    def __call__(self, url: str, **_: Any) -> TwoFeeds:
        self.asked_for.append(url)
        self.url = url
        return self

    async def get(self, validators: Validators) -> Answer | None:
        if not self.asked_for[-1].endswith("flight-information-region"):
            return await super().get(validators)
        self.asked_for.append("")  # the next look is at the measures again
        if self.regions is None:
            raise FeedTrouble("unreachable", "the test asked for it")
        return Answer(json.dumps(self.regions).encode(), Validators())


@pytest.fixture
def rig(tmp_path: Path) -> EcfmpRig:
    rig = EcfmpRig(tmp_path)
    rig.feed = TwoFeeds()
    rig.provide(1, 1)
    rig.measures[0]["notified_flight_information_regions"] = [48]
    rig.provide(2, 0)
    return rig


def new_source(rig: EcfmpRig, tmp_path: Path) -> EcfmpSource:
    return EcfmpSource(
        "ecfmp", url=MEASURES, interval_seconds=0.005, state_path=tmp_path / "state.json", open_feed=rig.feed
    )


async def test_firs_of_a_measure_are_resolved(rig: EcfmpRig, tmp_path: Path) -> None:
    publish = Recorder()
    source = new_source(rig, tmp_path)
    async with Running(source, publish):
        await eventually(lambda: publish.events)
    assert publish.events[0].data["firs"] == ["LSAS"]
    again = Recorder()
    asked = len(rig.feed.asked_for)  # type: ignore[attr-defined]  # the fixture put TwoFeeds there
    async with Running(new_source(rig, tmp_path), again):
        await eventually(lambda: rig.feed.asked > 2)
    assert [url for url in rig.feed.asked_for[asked:] if url.endswith("region")] == []  # type: ignore[attr-defined]  # the fixture put TwoFeeds there


async def test_measures_are_told_without_firs_where_those_can_not_be_had(rig: EcfmpRig, tmp_path: Path) -> None:
    rig.feed.regions = None  # type: ignore[attr-defined]  # the fixture put TwoFeeds there
    publish = Recorder()
    source = new_source(rig, tmp_path)
    async with Running(source, publish):
        await eventually(lambda: publish.events and source.status.last_error)
    assert publish.events[0].data["firs"] == []
    assert "FIRs of measures are unknown" in str(source.status.last_error)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (MEASURES, "https://ecfmp.invalid/api/v1/flight-information-region"),
        ("http://127.0.0.1:1/flow-measure/", "http://127.0.0.1:1/flight-information-region"),
        ("http://127.0.0.1:1/measures.json", None),
    ],
)
def test_list_of_firs_lies_beside_the_list_of_measures(url: str, expected: str | None) -> None:
    assert regions_url(url) == expected
