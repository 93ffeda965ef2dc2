"""Which bits may flip, file by file: anywhere, and where it would do the most harm."""

from __future__ import annotations

import random

import msgspec
from support.disk import home_files
from support.disk.home_files import RECORDING, RESUME_FILE
from support.disk.rot_base import Files, Installation

PAGE_BYTES = 4096
DIGEST_CHARACTERS = 32
_LEAF, _INDEX, _INTERIOR = 0x0D, 0x0A, 0x05


class Flip(msgspec.Struct, frozen=True):
    """One bit of one file."""

    file: str
    bit: int

    def apply(self, files: Files) -> Files:
        """Return the files with the bit flipped."""
        data, changed_ns = files[self.file]
        rotten = bytearray(data)
        rotten[self.bit // 8] ^= 1 << self.bit % 8
        return {**files, self.file: (bytes(rotten), changed_ns)}


class Aim(msgspec.Struct, frozen=True):
    """A place to flip bits at."""

    name: str
    file: str
    is_killed: bool
    """Of the files after a kill; else after a stop."""
    ranges: list[tuple[int, int]]
    """Bytes, as offset and length."""
    weight: int

    def flip(self, rng: random.Random) -> Flip:
        """Choose a bit."""
        offset, length = rng.choices(self.ranges, weights=[length for _, length in self.ranges])[0]
        return Flip(self.file, rng.randrange(offset * 8, (offset + length) * 8))


def aims(installation: Installation) -> list[Aim]:
    """Return all places, with how often each is chosen."""
    stopped, killed = installation.stopped, installation.killed
    state = _state_file(killed)
    taken = next(name for name in killed if name.startswith(home_files.DROP) and name.endswith(".taken"))
    return [
        _whole("history", home_files.HISTORY, stopped, 30),
        Aim("event", home_files.HISTORY, False, _places(stopped, "events", "wire"), 20),
        Aim("event name", home_files.HISTORY, False, _places(stopped, "event_ids", "digest"), 5),
        Aim("page", home_files.HISTORY, False, pages(stopped[home_files.HISTORY][0], _LEAF), 5),
        _whole("history log", home_files.HISTORY_LOG, killed, 12, is_killed=True),
        _whole("mark", home_files.MARK, stopped, 4),
        _whole("mark", home_files.MARK, killed, 4, is_killed=True),
        _whole("witness", home_files.WITNESS, stopped, 2),
        _whole("installation", home_files.INSTALLATION, stopped, 2),
        _whole("keys", home_files.KEYS, stopped, 10),
        Aim("key row", home_files.KEYS, False, key_rows(stopped), 10),
        _whole("drop state", state, killed, 6, is_killed=True),
        _whole("taken file", taken, killed, 0, is_killed=True),
        _whole("recording", RECORDING, stopped, 10),
        _whole("resume file", RESUME_FILE, stopped, 10),
    ]


def _state_file(files: Files) -> str:
    return next(name for name in files if name.startswith(home_files.SOURCE_STATE))


def _whole(name: str, file: str, files: Files, weight: int, *, is_killed: bool = False) -> Aim:
    return Aim(name, file, is_killed, [(0, len(files[file][0]))], weight)


def _places(files: Files, table: str, column: str) -> list[tuple[int, int]]:
    return home_files.stored_places(files[home_files.HISTORY][0], table, column, 200)


def pages(content: bytes, page_type: int) -> list[tuple[int, int]]:
    """Return the headers of the pages of a type: 0x0D a table leaf, 0x0A an index leaf, 0x05 an inner table page."""
    found = []
    for at in range(PAGE_BYTES, len(content), PAGE_BYTES):
        cells, start = (int.from_bytes(content[at + place : at + place + 2], "big") for place in (3, 5))
        is_page = content[at] == page_type and cells > 0 and 8 + 2 * cells <= start <= PAGE_BYTES
        found += [(at, 8)] if is_page else []  # else it holds something else that begins with this byte
    return found


def key_rows(files: Files) -> list[tuple[int, int]]:
    """Return the bytes of each key's row: its header first, then its other columns."""
    places = home_files.stored_places(files[home_files.KEYS][0], "swim_api_keys", "api_key", 100)
    return [(max(0, at - 40), 300) for at, _ in places]


def sharp_flips(installation: Installation) -> dict[str, Flip]:
    """Return the single bits that do the most harm, by their effect."""
    files = installation.stopped
    history, resume = files[home_files.HISTORY][0], files[RESUME_FILE][0]
    letter = history.index(b'"event-100"') + 2
    digests = [
        at for at, _ in _places(files, "event_ids", "digest") if history[at // PAGE_BYTES * PAGE_BYTES] == _INDEX
    ]
    flips = {
        "other text in an event": Flip(home_files.HISTORY, letter * 8),
        "no text in an event": Flip(home_files.HISTORY, letter * 8 + 7),
        "a page of events": Flip(home_files.HISTORY, pages(history, _LEAF)[-1][0] * 8 + 1),
        "another name in the index": Flip(home_files.HISTORY, (digests[10] + DIGEST_CHARACTERS - 1) * 8),
        "another id in the resume file": Flip(RESUME_FILE, (resume.index(b'"', resume.index(b"-")) - 1) * 8),
    }
    state = _state_file(installation.killed)
    bit = home_files.bit_that_lowers_the_offset(installation.killed[state][0])
    flips["another place in the drop state"] = Flip(state, bit)
    if (revoked := _flip_that_reactivates(files, "3")) is not None:
        flips["a revoked key is good"] = revoked
    return flips


def flip_that_hides_events(installation: Installation) -> Flip:
    """Make the page that leads to most event pages count fewer of them."""
    history = installation.stopped[home_files.HISTORY][0]
    at = max((at for at, _ in pages(history, _INTERIOR)), key=lambda at: history[at + 3 : at + 5])
    count = int.from_bytes(history[at + 3 : at + 5], "big")
    bit = count.bit_length() - 1
    return Flip(home_files.HISTORY, (at + 4 - bit // 8) * 8 + bit % 8)


def _flip_that_reactivates(files: Files, number: str) -> Flip | None:
    """Find the bit that makes a revoked key active for SQLite, and changes nothing else of its row."""
    content = files[home_files.KEYS][0]
    sound = home_files.key_row(content, number)
    assert sound is not None
    for offset, length in key_rows(files):
        for bit in range(offset * 8, (offset + min(length, 64)) * 8):
            flip = Flip(home_files.KEYS, bit)
            if home_files.key_row(flip.apply(files)[home_files.KEYS][0], number) == (1, *sound[1:]):
                return flip
    return None
