"""The shape of an API key, pure: tier prefix + 32 random base62 characters + 6 base62 characters of CRC-32."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from enum import StrEnum


class Tier(StrEnum):
    """What a key's owner may do, in order of trust."""

    PUBLIC = "public"
    DEVELOPER = "developer"
    PARTNER = "partner"
    SYSTEM = "system"


PREFIXES = {
    Tier.PUBLIC: "swim_pub_",
    Tier.DEVELOPER: "swim_dev_",
    Tier.PARTNER: "swim_par_",
    Tier.SYSTEM: "swim_sys_",
}

KEY_PREFIX = "swim_"
"""The beginning of every key issued by this system, and by the earlier one."""
DIGEST_PREFIX = "sha256$"
"""The beginning of a stored digest. A presented key that begins like this is refused before any query."""
MAX_KEY_LENGTH = 128
"""The longest key of the earlier system has 73 characters."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_OWN_SHAPE = re.compile(rf"swim_(?:pub|dev|par|sys)_[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII)
_PRESENTABLE = re.compile(rf"[!-~]{{1,{MAX_KEY_LENGTH}}}", re.ASCII)
_HINT_PREFIX = re.compile(r"swim_(?:(?:pub|dev|par|sys)_)?", re.ASCII)
_HINT_TAIL = 4
_HINT_HIDDEN = 16
"""The end of a key is shown only if at least this many characters remain hidden."""


class KeyShape(StrEnum):
    """What a presented text looks like, before the database is asked."""

    OWN = "own"
    """Issued by this system, or invented with a correct CRC."""
    FOREIGN = "foreign"
    """Of another form: keys of the earlier system are."""
    MISTYPED = "checksum"
    """Of our form, but its checksum does not match: a typo, or a key copied incompletely."""
    MALFORMED = "malformed"
    """Can't be a key: blanks, control or non-ASCII characters, too long, or a stored digest."""
    MISSING = "missing"


def generate(tier: Tier, randbytes: Callable[[int], bytes]) -> str:
    """Generate a key of 47 characters; ``randbytes(n)`` must come from a cryptographic source."""
    body = PREFIXES[tier] + _random_text(_RANDOM_LENGTH, randbytes)
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return the 6 base62 characters of the CRC-32 of ``body``, the key without them."""
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        text = _ALPHABET[digit] + text
    return text


def classify(api_key: str | None) -> KeyShape:
    """Tell what a presented key looks like. Only OWN and FOREIGN are worth a query."""
    if not api_key:
        return KeyShape.MISSING
    if not _PRESENTABLE.fullmatch(api_key) or api_key[: len(DIGEST_PREFIX)].lower() == DIGEST_PREFIX:
        return KeyShape.MALFORMED
    if not _OWN_SHAPE.fullmatch(api_key):
        return KeyShape.FOREIGN
    body, given = api_key[:-_CHECKSUM_LENGTH], api_key[-_CHECKSUM_LENGTH:]
    return KeyShape.OWN if checksum(body) == given else KeyShape.MISTYPED


def digest(api_key: str) -> str:
    """Return the stored form of a key: ``sha256$`` + base64url(SHA-256) without padding, 50 characters."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256  # not at the top: listing keys needs no digest, and it loads OpenSSL

    return DIGEST_PREFIX + urlsafe_b64encode(sha256(api_key.encode()).digest()).rstrip(b"=").decode()


def fingerprint(stored: str) -> bytes | None:
    """Return the SHA-256 of a stored key, given plain or as digest; None: an unreadable digest."""
    from base64 import urlsafe_b64decode
    from hashlib import sha256

    if not is_digest(stored):
        return sha256(stored.encode(errors="surrogatepass")).digest()
    try:
        return urlsafe_b64decode(stored[len(DIGEST_PREFIX) :].strip() + "=")
    except ValueError:
        return None


def is_digest(stored: str) -> bool:
    """Tell whether a stored value is a digest, and not a plain key of the earlier system."""
    return stored.startswith(DIGEST_PREFIX)


def hint(api_key: str) -> str:
    """Return enough of a key to recognise it, not to use it: ``swim_dev_…x9Qz``; of short keys only the prefix."""
    match = _HINT_PREFIX.match(api_key)
    prefix = match[0] if match else ""
    secret = len(api_key) - len(prefix)
    return f"{prefix}…{api_key[-_HINT_TAIL:] if secret >= _HINT_HIDDEN + _HINT_TAIL else ''}"


def _random_text(length: int, randbytes: Callable[[int], bytes]) -> str:
    """Return uniform base62 characters: bytes beyond the last multiple of 62 are discarded, not folded."""
    limit = 256 - 256 % len(_ALPHABET)
    text = ""
    while len(text) < length:
        text += "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in randbytes(length) if byte < limit)
    return text[:length]
