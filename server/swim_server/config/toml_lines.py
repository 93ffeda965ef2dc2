"""Finds the line of each key in a TOML text. ``tomllib`` reads the values but does not report lines."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
"""Keys from the top; the number after an array's key counts its elements from 0."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"((?:\\.|[^"\\\n])*)"'),
    re.compile(r"'([^'\n]*)'"),
)


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every key and table in a text that ``tomllib`` has accepted."""
    return _Finder(text).run()


class _Finder:
    """Scans the text once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}
        """Index of the newest element of each array of tables."""
        self._counted_to = 0
        self._line = 1

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_BETWEEN) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.found

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        parts = self._key()
        path = self._resolve(parts[:-1]) + parts[-1:]
        if is_array:
            self._note(path)
            self.arrays[path] = self.arrays.get(path, -1) + 1
        if path in self.arrays:
            path += (self.arrays[path],)
        self._note(path)
        self._skip(_BLANK)
        self.at += 2 if is_array else 1
        return path

    def _resolve(self, parts: Path) -> Path:
        path: Path = ()
        for part in parts:
            path += (part,)
            if path in self.arrays:
                path += (self.arrays[path],)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        start = self.at
        for part in self._key():
            path += (part,)
            self._note(path, start)
        self._skip(_BLANK)
        self.at += 1  # the equals sign
        self._value(path)

    def _key(self) -> Path:
        parts: Path = ()
        while True:
            self._skip(_BLANK)
            match = _BARE_KEY.match(self.text, self.at)
            if match is None:
                match = next(found for string in _STRINGS[2:] if (found := string.match(self.text, self.at)))
                parts += (_unescape(match[1]) if match[0][0] == '"' else match[1],)
            else:
                parts += (match[0],)
            self.at = match.end()
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _value(self, path: Path) -> None:
        self._skip(_BETWEEN)
        first = self.text[self.at]
        if first == "{":
            self._elements("}", lambda _: self._pair(path))
        elif first == "[":
            self._elements("]", lambda index: self._element((*path, index)))
        else:
            pattern = next((string for string in _STRINGS if string.match(self.text, self.at)), _SCALAR)
            self._skip(pattern)

    def _element(self, path: Path) -> None:
        self._note(path)
        self._value(path)

    def _elements(self, end: str, take: object) -> None:
        assert callable(take)
        self.at += 1
        index = 0
        while True:
            self._skip(_BETWEEN)
            if self.text[self.at] == end:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                index += 1
            else:
                take(index)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return self.at

    def _note(self, path: Path, at: int | None = None) -> None:
        if path not in self.found:
            at = self.at if at is None else at
            self._line += self.text.count("\n", self._counted_to, at) if at >= self._counted_to else 0
            self._counted_to = max(self._counted_to, at)
            self.found[path] = self._line


def _unescape(text: str) -> str:
    import tomllib

    return str(tomllib.loads(f'key = "{text}"')["key"]) if "\\" in text else text
