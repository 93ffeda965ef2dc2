"""The write-ahead log of an SQLite file, read without SQLite: the pages that are newer than those in the file."""

from __future__ import annotations

from pathlib import Path

from swim_server.files.opening import open_to_read

_WAL_HEADER, _FRAME_HEADER = 32, 24


def read_log(path: Path, page_size: int) -> dict[int, bytes]:
    """Return the pages in the write-ahead log up to its last commit; rows' checksums detect damage in them."""
    newer: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    try:
        with open_to_read(path, may_have_links=True) as file:
            salts = file.read(_WAL_HEADER)[16:24]
            while len(header := file.read(_FRAME_HEADER)) == _FRAME_HEADER and header[8:16] == salts:
                page = file.read(page_size)
                if len(page) < page_size:
                    break
                pending[int.from_bytes(header[:4], "big")] = page
                if int.from_bytes(header[4:8], "big"):
                    newer |= pending
                    pending.clear()
    except FileNotFoundError:
        return {}
    return newer
