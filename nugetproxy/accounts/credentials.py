"""Secrets: how API keys are generated and recognised, and how passwords are hashed. Nothing here stores one.

A key is compared by the SHA-256 of its text, which is quick, and safe because 190 random bits cannot be guessed. A
password can be guessed, so each guess is made expensive (Argon2id).
"""

import hashlib
import hmac
import re
import secrets
import string
import unicodedata
import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from nugetproxy.errors import InvalidRequest
from nugetproxy.executors.threads import PASSWORDS
from nugetproxy.logs import KEY_LIKE
from nugetproxy.nuget.lookalikes import decodings

if TYPE_CHECKING:
    from argon2 import PasswordHasher

KEY_PREFIX: Final = "nugetproxy_"
"""Secret scanners find a leaked key by this prefix."""

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 1024
"""In characters. Longer ones would only cost time."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_ALPHABET: Final = string.digits + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 32  # 62 ** 32: 190 bits
_CHECKSUM_LENGTH: Final = 6
_KEY: Final = re.compile(
    rf"{KEY_PREFIX}([0-9a-z]{{{_ID_LENGTH}}})[0-9A-Za-z]{{{_SECRET_LENGTH}}}([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


class MintedKey(NamedTuple):
    """A new key. `text` is shown once and not stored; `key_id` and `digest` are stored."""

    text: str
    key_id: str
    digest: bytes


def mint_key() -> MintedKey:
    """nugetproxy_ + public id + secret + checksum, all letters and digits: a double click selects it whole."""
    key_id = _random(_ID_ALPHABET, _ID_LENGTH)
    body = f"{KEY_PREFIX}{key_id}{_random(_ALPHABET, _SECRET_LENGTH)}"
    text = body + _checksum(body)
    return MintedKey(text, key_id, digest_of(text))


def key_id_of(text: str) -> str | None:
    """The public id inside the text of a key; None for a text that was never generated (a typo, cut short, a password).

    It proves nothing: the digest does.
    """
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != match[2]:
        return None
    return match[1]


def holds_key(text: str) -> bool:
    """Whether the text contains what looks like a key: whole or cut, in any case, percent-encoded or not."""
    return any(map(KEY_LIKE.search, decodings(text)))


def digest_of(text: str) -> bytes:
    """The stored form of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal, in a time that does not reveal where they differ."""
    return hmac.compare_digest(one, other)


class Passwords:
    """Hashing and checking, in the threads of `executors.threads.PASSWORDS`. Raises Busy when too many are waiting."""

    def __init__(self, hasher: "PasswordHasher | None" = None) -> None:
        self._given_hasher = hasher
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The stored form of a password. Raises InvalidRequest when it is too short or too long."""
        checked_password(password)
        return await PASSWORDS.run(self._hasher.hash, _prepared(password))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether `kept` is the hash of this password.

        None (a user that does not exist or has no password) takes as long as any other hash, and never matches.
        """
        if len(password) > LONGEST_PASSWORD:
            return False
        return await PASSWORDS.run(self._verify, password, kept)

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher  # most commands need no password

        return self._given_hasher or PasswordHasher()

    def _verify(self, password: str, kept: str | None) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if self._nobodys is None:
            self._nobodys = self._hasher.hash(secrets.token_urlsafe())
        try:
            self._hasher.verify(self._nobodys if kept is None else kept, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None


def checked_password(text: str) -> str:
    """The password, if its length is allowed. Raises InvalidRequest."""
    if not SHORTEST_PASSWORD <= len(text) <= LONGEST_PASSWORD:
        raise InvalidRequest(f"a password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return text


def _prepared(password: str) -> bytes:
    """The same bytes for a password typed on different keyboards (RFC 8265: composed form)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
