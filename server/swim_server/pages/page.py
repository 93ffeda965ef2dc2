"""One page, compressed once: what differs between answers is inserted between the compressed pieces."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from importlib import resources

_HOLE = re.compile(r"\{\{(nonce|socket)\}\}")
_PART = re.compile(r"\{\{file:([a-z_]+\.(?:css|js|json))\}\}")
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952, section 2.3: deflate, no name, no time, system unknown."""
_LAST_BLOCK = b"\x03\x00"
"""An empty block that ends a deflate stream (RFC 1951, section 3.2.3)."""


class Page:
    """A document with placeholders. Each answer fills them with its own values, such as its nonce."""

    def __init__(self, text: str) -> None:
        pieces = _HOLE.split(text)
        self._fixed = [piece.encode() for piece in pieces[::2]]
        self._holes = pieces[1::2]
        self._compressed = [_deflate(piece) for piece in self._fixed]

    def plain(self, values: Mapping[str, str]) -> bytes:
        """Return the document."""
        return b"".join(self._fill(self._fixed, [values[name].encode() for name in self._holes]))

    def gzip(self, values: Mapping[str, str]) -> bytes:
        """Return the document compressed, at the cost of a checksum rather than a compression."""
        body = self.plain(values)
        stored = [_deflate(values[name].encode(), level=0) for name in self._holes]
        trailer = struct.pack("<II", zlib.crc32(body), len(body) & 0xFFFFFFFF)
        return b"".join([_GZIP_HEAD, *self._fill(self._compressed, stored), _LAST_BLOCK, trailer])

    @staticmethod
    def _fill(pieces: list[bytes], values: Iterable[bytes]) -> list[bytes]:
        filled = [pieces[0]]
        for value, piece in zip(values, pieces[1:], strict=True):
            filled += (value, piece)
        return filled


def load_page(name: str) -> Page:
    """Load a page and its parts from the package's files. Blocks for some tens of milliseconds."""
    folder = resources.files("swim_server.pages").joinpath("built")

    def read(part: re.Match[str]) -> str:
        return folder.joinpath(part[1]).read_text("utf-8")

    return Page(_PART.sub(read, folder.joinpath(f"{name}.html").read_text("utf-8")))


def licences() -> str:
    """Return the licences of what the pages are built from."""
    return resources.files("swim_server.pages").joinpath("built", "LICENCES.txt").read_text("utf-8")


def _deflate(data: bytes, level: int = 9) -> bytes:
    """Compress a piece so that another can follow: byte-aligned, without a last block, independently."""
    compressor = zlib.compressobj(level, wbits=-15)
    return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
