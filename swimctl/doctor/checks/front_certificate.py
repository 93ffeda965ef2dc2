"""Why clients don't trust a certificate, in words that say what to send instead. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.doctor.probes.public_endpoint import Certificate

NO_ISSUER = frozenset({2, 20, 21})
"""OpenSSL (x509_vfy.h): the issuer of a certificate is not there, so that no chain leads to one that is trusted."""
OTHER_NAMES = frozenset({62, 64})
SELF_SIGNED = frozenset({18, 19})


def distrusted(found: Certificate, host: str) -> str:
    """Say why a certificate is not trusted."""
    seen, reason = found.shown, f"clients don't trust it: {found.distrust}"
    if seen is None:
        return reason
    if found.code in OTHER_NAMES:
        return f"it is for other names: {', '.join(seen.names[:5]) or seen.subject or 'none'}; asked for {host}"
    if found.code in SELF_SIGNED or seen.is_self_signed:
        return f"{reason}: {seen.issuer or 'nobody'} signed it, whom nobody knows here"
    if found.code in NO_ISSUER and seen.sent == 1:
        return f"the chain lacks {seen.issuer}, which issued it: send the full chain, not the certificate alone"
    if found.code in NO_ISSUER:
        return f"{reason}: it was issued by {seen.issuer}, who is not known here"
    return reason


def shown(found: Certificate) -> list[str]:
    """Return what a certificate that is not trusted says of itself."""
    seen = found.shown
    if seen is None:
        return []
    sent = f", {plural(seen.sent, 'certificate')} sent" if seen.sent is not None else ""
    return [f"for {', '.join(seen.names[:5]) or seen.subject}, issued by {seen.issuer}, until {seen.not_after}{sent}"]
