"""Our own TLS: the certificate shown to clients, reloaded when its files change."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.errors import OperatorError

if TYPE_CHECKING:
    from swim_server.logs import Logger

LOOK_SECONDS = 10.0
"""Interval at which the files are checked."""
Signature = tuple[tuple[int, int, int], ...]


class CertificateUnusable(OperatorError):
    """The certificate or its key can't be read, or they don't match."""

    def __init__(self, certificate: Path, key: Path, reason: str) -> None:
        self.certificate = certificate
        self.key = key
        self.reason = reason
        super().__init__(certificate, key, reason)

    def __str__(self) -> str:
        step = "check [server] tls_certificate (with the whole chain) and tls_key (without a passphrase)"
        return f"can't use the certificate {self.certificate} with the key {self.key}: {self.reason}; {step}"


class CertificateIncomplete(OperatorError):
    """Only one of certificate and key is configured."""

    def __str__(self) -> str:
        return "[server] tls_certificate and tls_key belong together: set both, or neither"


class TlsCertificate:
    """One certificate, for all names in it. The context stays the same; the certificate may change."""

    def __init__(self, certificate: Path, key: Path, log: Logger | None) -> None:
        """Load the certificate; ``log``: None where another process tells of changes. Raises CertificateUnusable."""
        self.on_reload: Callable[[], None] | None = None
        """Called in the thread that reloads, before the change is told: other processes show it too by then."""
        self._certificate = certificate
        self._key = key
        self._log = log
        self._seen = self._signature()
        self._problem: str | None = None
        self.context = _new_context()
        self._load(self.context)

    def reload(self) -> bool:
        """Reload the files if they have changed; tell whether they were. Connected clients stay.

        An unusable certificate is reported once, and the previous one stays in use.
        """
        seen = self._signature()
        if seen == self._seen:
            return False
        try:
            self._load(_new_context())  # files that don't match may be in the middle of being replaced
            self._load(self.context)
        except CertificateUnusable as unusable:
            if str(unusable) != self._problem and self._log is not None:
                self._problem = str(unusable)
                text = "the changed certificate can't be used; the previous one stays in use"
                self._log.error(text, reason=str(unusable))
            return False
        self._seen, self._problem = seen, None
        if self.on_reload is not None:
            self.on_reload()
        if self._log is not None:
            self._log.info("certificate reloaded", certificate=str(self._certificate))
        return True

    async def run(self) -> None:
        """Check the files now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.reload)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise CertificateUnusable(self._certificate, self._key, reason) from None

    def _signature(self) -> Signature:
        return tuple(_signature_of(path) for path in (self._certificate, self._key))


def _signature_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


def _no_passphrase() -> str:
    """Refuse to ask for a passphrase: there is no user to ask."""
    raise ValueError("the key has a passphrase")
