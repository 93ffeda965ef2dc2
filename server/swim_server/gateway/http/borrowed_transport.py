"""A transport lent to the HTTP server: it can be taken back with the connection open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class BorrowedTransport(asyncio.Transport):
    """A transport that forwards everything until it is taken back; then it appears closed to its user."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._is_taken_back = False

    def take_back(self) -> None:
        """Cut the borrower off: nothing it does reaches the connection any more."""
        self._is_taken_back = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the connection."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether nothing can be written any more."""
        return self._is_taken_back or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless the transport was taken back."""
        if not self._is_taken_back:
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write several pieces."""
        if not self._is_taken_back:
            self._transport.writelines(list_of_data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not sent yet."""
        return self._transport.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Return False: HTTP does not need half-closed connections."""
        return False

    def is_reading(self) -> bool:
        """Tell whether the connection is being read."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Stop reading."""
        if not self._is_taken_back:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        if not self._is_taken_back:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close the connection, unless it was taken back."""
        if not self._is_taken_back:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection, unless it was taken back."""
        if not self._is_taken_back:
            self._transport.abort()
