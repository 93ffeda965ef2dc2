"""The API key: shown to the server, and to nobody else."""

from __future__ import annotations

import os
from typing import Optional

ENVIRONMENT_VARIABLE = "SWIM_API_KEY"
MAX_CHARACTERS = 512


class ApiKey:
    """A key that no ``repr``, log line or traceback gives away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Take a key; blanks around it go. Raises ValueError for what no HTTP header can carry."""
        stripped = text.strip()
        if not stripped:
            raise ValueError(f"no API key: pass one to SWIMClient(...), or set {ENVIRONMENT_VARIABLE}")
        if len(stripped) > MAX_CHARACTERS or not all(" " < character <= "~" for character in stripped):
            raise ValueError(f"not an API key: it has blanks, non-ASCII characters, or more than {MAX_CHARACTERS}")
        self._text = stripped

    @classmethod
    def find(cls, given: Optional[str]) -> ApiKey:
        """Use the key given, else the environment's. Raises ValueError when there is neither."""
        return cls(os.environ.get(ENVIRONMENT_VARIABLE, "") if given is None else given)

    def reveal(self) -> str:
        """The key itself, for the handshake."""
        return self._text

    def redact(self, text: str) -> str:
        """Take the key out of a text that comes from elsewhere."""
        return text.replace(self._text, "[key]")

    def __repr__(self) -> str:
        return "ApiKey(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")
