"""Presented keys in the forms in which the table may hold them. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from swim_server.keys.format import KeyShape, classify, digest


class PresentedKeys:
    """Some presented keys. Texts that can't be keys are left out."""

    def __init__(self, api_keys: Iterable[str]) -> None:
        self.forms: list[str] = []
        """What to search the table for: the digest of each key, and the key itself."""
        self._by_folded: dict[str, list[tuple[str, str]]] = {}
        """Forms and their keys, folded as by a database that ignores case and trailing blanks."""
        for api_key in api_keys:
            if classify(api_key) in {KeyShape.OWN, KeyShape.FOREIGN}:
                for form in (digest(api_key), api_key):
                    self.forms.append(form)
                    self._by_folded.setdefault(_folded(form), []).append((form, api_key))

    def matching(self, stored: str) -> str | None:
        """Return the presented key that a stored value belongs to, compared exactly and in constant time."""
        match = None
        for form, api_key in self._by_folded.get(_folded(stored), ()):
            if hmac.compare_digest(stored.encode(), form.encode()):
                match = api_key
        return match


def _folded(text: str) -> str:
    return text.rstrip().casefold()
