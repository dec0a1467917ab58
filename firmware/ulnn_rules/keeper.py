"""The keeper's keys: pseudonyms by HMAC-SHA-256 (RFC 2104), of SHA-256 alone.

A key is in no text that this makes: not in a repr, not in an error.
"""

from binascii import hexlify, unhexlify
from hashlib import sha256

from ulnn_rules import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEAST = 16  # bytes of a key
_BLOCK = 64
_ID = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Key:
    """One key. secret: 16 bytes or more."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST:
            raise ValueError("a key has %d bytes, expected %d or more" % (len(secret), LEAST))
        if len(secret) > _BLOCK:
            secret = sha256(secret).digest()
        secret = secret + bytes(_BLOCK - len(secret))
        self._inner = bytes([b ^ 0x36 for b in secret])
        self._outer = bytes([b ^ 0x5C for b in secret])

    def __repr__(self) -> str:
        return "<Key>"

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA-256 of a message: 32 bytes."""
        return sha256(self._outer + sha256(self._inner + message).digest()).digest()


class Keys:
    """The keys of a keeper by their ids. now: the id of the one that makes pseudonyms."""

    def __init__(self, keys: "dict[str, Key]", now: str) -> None:
        if now not in keys:
            raise ValueError("no key has the id that is to be used now")
        for name in keys:
            if not 1 <= len(name) <= 16 or not all(c in _ID for c in name):
                raise ValueError("id of a key: expected 1 to 16 letters and digits")
        self._keys = keys
        self.now = now

    def __repr__(self) -> str:
        return "<Keys %s>" % self.now

    def pseudonym(self, domain: str, value: str, length: int) -> str:
        """The id of the key, "-", and `length` (1 to 64) hexadecimal digits for a value."""
        digest = self._keys[self.now].digest(("%s\0%s" % (domain, value)).encode())
        return "%s-%s" % (self.now, hexlify(digest).decode()[:length])


def read(path: str, now: str = "") -> Keys:
    """The keys of a keeper's file. now: the id of the key to use; "" for the one that the file
    names. Raises ValueError, which never shows what is in the file.

    The file is JSON: {"now": "k2", "keys": {"k1": "a3...", "k2": "07..."}}, keys in hexadecimal.
    """
    what = "keeper's file %s" % path
    found: "Any" = settings.load(path, what)
    keys = {}
    try:
        for name in found["keys"]:
            keys[name] = Key(unhexlify(found["keys"][name]))
        chosen = now or found["now"]
    except Exception:
        raise ValueError(
            '%s: expected {"now": id, "keys": {id: 32 or more hexadecimal digits}}' % what
        ) from None
    try:
        return Keys(keys, chosen)
    except ValueError as error:
        raise ValueError("%s: %s" % (what, error)) from None
