"""The sources that the configuration names."""

from __future__ import annotations

from pathlib import Path

from swim_server.config import Config, RecordingSourceConfig
from swim_server.daemon.home import Home
from swim_server.daemon.sources import build_sources
from swim_server.protocol.channels import Catalogue


def test_two_sources_on_one_recording_remember_each_for_itself(tmp_path: Path) -> None:
    config = Config(sources=[RecordingSourceConfig(path="a"), RecordingSourceConfig(path="a", name="other")])
    sources = build_sources(config, Home(tmp_path), Catalogue())
    assert [source.status.name for source in sources] == ["recording", "other"]
    assert len({source._state_path for source in sources}) == 2  # type: ignore[attr-defined]  # of recordings
