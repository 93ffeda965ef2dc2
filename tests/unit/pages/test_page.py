"""A page is put together from pieces that were compressed once, and holds all that a browser needs."""

from __future__ import annotations

import gzip
import re

import pytest
from swim_server.pages.page import Page, licences, load_page

MAX_BYTES = 350_000
"""Of all pages together, as they are sent."""
PAGES = ("map", "ops", "status")
VALUES = {"nonce": "a-nonce", "socket": "ws"}


@pytest.mark.parametrize(
    "text", ["plain", "{{nonce}}", "a {{nonce}} b {{socket}} c {{nonce}}", "ü" * 70_000 + "{{socket}}é"]
)
def test_compressed_pieces_are_the_plain_document(text: str) -> None:
    page = Page(text)
    plain = page.plain(VALUES)
    assert plain.decode() == text.replace("{{nonce}}", "a-nonce").replace("{{socket}}", "ws")
    assert gzip.decompress(page.gzip(VALUES)) == plain


@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_and_asks_nobody_else(name: str) -> None:
    page = load_page(name)
    text = page.plain(VALUES).decode()
    assert not re.search(r"\{\{(?:nonce|socket|file)", text)
    head = text.partition('<script type="application/json"')[0].partition("<script nonce")[0]
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", text)
    assert not re.search(r"@import|url\((?!data:)", head)
    assert not re.search(r"\bstyle=\"|\bon[a-z]+=\"", head), "the policy forbids inline styles and handlers"
    assert len(re.findall(r"<(?:script|style) nonce=\"a-nonce\"", text)) == 2


def test_all_pages_together_are_small_on_the_wire() -> None:
    assert sum(len(load_page(name).gzip(VALUES)) for name in PAGES) <= MAX_BYTES


def test_licences_of_everything_inside_are_there() -> None:
    text = licences()
    for name in ("d3-geo", "d3-array", "internmap", "topojson-client", "uplot", "world-atlas"):
        assert re.search(rf"^{name} \d+\.\d+\.\d+ \((?:ISC|MIT)\)$", text, re.MULTILINE), name
    assert text.count("Permission") >= 6
