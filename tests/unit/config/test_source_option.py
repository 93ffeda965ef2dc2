"""Sources as values of an option."""

from __future__ import annotations

import pytest
from swim_server.config import (
    AdlSourceConfig,
    ConfigError,
    DropSourceConfig,
    EcfmpSourceConfig,
    FileSourceConfig,
    RecordingSourceConfig,
    SimulatorSourceConfig,
    SourceConfig,
    VatsimSourceConfig,
    parse_source,
    parse_sources,
)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("file:/tmp/x.json", FileSourceConfig(path="/tmp/x.json")),
        ("file:a:b.json?interval_seconds=0.5", FileSourceConfig(path="a:b.json", interval_seconds=0.5)),
        ("recording:snapshots", RecordingSourceConfig(path="snapshots")),
        ("recording:a b?speed=30&loop=false", RecordingSourceConfig(path="a b", speed=30, loop=False)),
        ("recording:x?loop=1", RecordingSourceConfig(path="x", loop=True)),
        ("recording:what?.json", RecordingSourceConfig(path="what?.json")),
        ("simulator", SimulatorSourceConfig()),
        ("simulator:", SimulatorSourceConfig()),
        ("simulator?flights=300&speed=30&seed=1&name=sim", SimulatorSourceConfig(name="sim")),
        ("simulator?", SimulatorSourceConfig()),
        ("drop:/var/spool/swim", DropSourceConfig(path="/var/spool/swim")),
        ("vatsim", VatsimSourceConfig()),
        ("vatsim:http://127.0.0.1:8000/feed", VatsimSourceConfig(url="http://127.0.0.1:8000/feed")),
        ("vatsim:http://[::1]:8000/f?token=a%20b&x", VatsimSourceConfig(url="http://[::1]:8000/f?token=a%20b&x")),
        (
            "vatsim:http://localhost/feed?interval_seconds=1",
            VatsimSourceConfig(url="http://localhost/feed", interval_seconds=1),
        ),
        ("ecfmp?name=europe", EcfmpSourceConfig(name="europe")),
        ("ecfmp:https://x.org/m?deleted=1", EcfmpSourceConfig(url="https://x.org/m?deleted=1")),
        ("adl:main", AdlSourceConfig(database="main")),
        ("adl:main?interval_seconds=5", AdlSourceConfig(database="main", interval_seconds=5)),
    ],
)
def test_source_word_becomes_its_settings(text: str, source: SourceConfig) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "carrier-pigeon:x",
            "there is no source kind 'carrier-pigeon'. Source kinds: file, drop, recording, simulator, vatsim,",
        ),
        ("adl", "adl needs a database: adl:DATABASE"),
        ("drop", "drop needs a path: drop:PATH"),
        ("vatsim:ftp://example.org/x", "url must be an http:// or https:// address, got 'ftp://example.org/x'"),
        ("vatsim?interval_secnods=20", "vatsim has no option 'interval_secnods', did you mean interval_seconds?"),
        ("simulater?seed=1", "there is no source kind 'simulater', did you mean simulator?"),
        ("", "there is no source kind ''."),
        ("recording", "recording needs a path: recording:PATH"),
        ("file:", "file needs a path: file:PATH"),
        ("recording:x?spede=3", "recording has no option 'spede', did you mean speed?"),
        ("recording:x?zzz=3", "recording has no option 'zzz'; there are name, path, speed, loop"),
        ("recording:x?speed=fast", "speed must be a number, got 'fast'"),
        ("recording:x?speed=0", "speed must be more than 0, got 0"),
        ("recording:x?speed=nan", "speed must be a finite number, got nan"),
        ("recording:x?loop=maybe", "loop must be true or false, got 'maybe'"),
        ("simulator?flights=0", "flights must be from 1 to 20000, got 0"),
        ("simulator?flights=2.5", "flights must be a whole number, got '2.5'"),
        ("simulator:x", "simulator takes no value after a colon, got 'x'"),
        ("simulator?name=a/b", "name must be 1 to 64 letters, digits, '.', '_' or '-', got 'a/b'"),
    ],
)
def test_source_word_that_is_wrong_is_told_with_what_there_is(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(text)
    assert f"in --source '{text}': {told}" in str(caught.value)


def test_source_words_are_all_judged_not_only_the_first() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_sources(["vatsym", "simulator", "file:x?a=1&interval_seconds=-1"])
    assert len(caught.value.problems) == 3
