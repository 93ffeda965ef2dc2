"""The certificate shown at an address, inspected without trusting it: names, issuer, length of the chain."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from typing import Any

import msgspec

from swimctl.text import plural


class ShownCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that isn't trusted."""

    names: tuple[str, ...] = ()
    """Hosts and addresses that it is valid for."""
    subject: str = ""
    issuer: str = ""
    not_after: str = ""
    sent: int | None = None
    """The number of certificates sent, including this one; None: this Python can't tell."""

    @property
    def is_self_signed(self) -> bool:
        return bool(self.issuer) and self.issuer == self.subject

    @property
    def line(self) -> str:
        """The certificate's claims in one line."""
        sent = f", {plural(self.sent, 'certificate')} sent" if self.sent is not None else ""
        names = ", ".join(self.names[:5]) or self.subject
        return f"for {names}, issued by {self.issuer}, until {self.not_after}{sent}"


NO_ISSUER = frozenset({2, 20, 21})
"""OpenSSL (x509_vfy.h): an issuer is missing, so that the chain does not lead to a trusted certificate."""
OTHER_NAMES = frozenset({62, 64})
SELF_SIGNED = frozenset({18, 19})


def distrusted(reason: str, code: int | None, shown: ShownCertificate | None, host: str) -> str:
    """Say why clients don't trust a certificate, and what the server should send instead. Pure."""
    told = f"clients don't trust it: {reason}"
    if shown is None:
        return told
    if code in OTHER_NAMES:
        return f"it is for other names: {', '.join(shown.names[:5]) or shown.subject or 'none'}; asked for {host}"
    if code in SELF_SIGNED or shown.is_self_signed:
        return f"{told}: {shown.issuer or 'nobody'} signed it, which is not trusted here"
    if code in NO_ISSUER and shown.sent == 1:
        return f"the chain lacks {shown.issuer}, which issued it: send the full chain, not the certificate alone"
    if code in NO_ISSUER:
        return f"{told}: it was issued by {shown.issuer}, which is not trusted here"
    return told


async def look_without_trust(host: str, port: int, seconds: float) -> ShownCertificate | None:
    """Do a TLS handshake without verification, only to read the certificate; nothing is sent. None if there is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except (OSError, TimeoutError):
        return None
    shown = writer.get_extra_info("ssl_object")
    der, sent = shown.getpeercert(binary_form=True), _sent(shown)
    writer.transport.abort()
    found = await asyncio.to_thread(_decoded, der) if der else {}
    return ShownCertificate(
        names=tuple(str(value) for _, value in found.get("subjectAltName", ())),
        subject=_name(found.get("subject", ())),
        issuer=_name(found.get("issuer", ())),
        not_after=str(found.get("notAfter", "")),
        sent=sent,
    )


def _sent(shown: Any) -> int | None:
    """Count the certificates in the chain. Public since Python 3.13; before, only on the underlying object."""
    for holder in (shown, getattr(shown, "_sslobj", None)):
        chain = getattr(holder, "get_unverified_chain", None)
        if chain is not None:
            return len(chain() or ())
    return None


def _decoded(der: bytes) -> dict[str, Any]:
    """Parse a certificate with the function that Python's own tests use: the public ones only verify or discard it."""
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file, contextlib.suppress(OSError, ValueError):
        file.write(ssl.DER_cert_to_PEM_cert(der))
        file.flush()
        found: dict[str, Any] = decode(file.name)
        return found
    return {}


def _name(parts: Any) -> str:
    """Return the common name of a distinguished name, or its last part."""
    pairs = [pair for part in parts for pair in part]
    common = [value for key, value in pairs if key == "commonName"]
    return str(common[-1] if common else pairs[-1][1] if pairs else "")
