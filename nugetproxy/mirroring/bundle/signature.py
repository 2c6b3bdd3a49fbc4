"""Keys and signatures of bundles: Ed25519 over the exact bytes of `bundle.json`.

A key pair is two files: FILE, a private key in PEM (PKCS #8), and FILE.pub, three lines of text with its name, the
public key and its fingerprint. A receiver trusts the keys that it is given, and no others: there is no chain.

Source: RFC 8032 (Ed25519), RFC 8410 (PKCS #8).
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from nugetproxy.errors import InvalidRequest, StorageUnavailable, UntrustedBundle

SIGNATURE: Final = "bundle.json.sig"
PUBLIC_SUFFIX: Final = ".pub"
LARGEST_SIGNATURE: Final = 4096
"""Bytes of `bundle.json.sig`."""

_ALGORITHM: Final = "Ed25519"
_KEY_BYTES: Final = 32
_LONGEST_NAME: Final = 100
_LARGEST_KEY_FILE: Final = 64 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may be trusted. `name` is for people; `raw` are its 32 bytes."""

    name: str
    raw: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, in the form of OpenSSH."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.raw).digest()).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"

    def to_text(self) -> str:
        """The content of its file."""
        key = base64.b64encode(self.raw).decode()
        return f"name: {self.name}\nkey: {_ALGORITHM} {key}\nfingerprint: {self.fingerprint}\n"

    @classmethod
    def read(cls, path: Path) -> "PublicKey":
        """The key of a file. Raises InvalidRequest for any other content, StorageUnavailable if it is unreadable."""
        content = _read(path)
        if content.startswith(b"-----BEGIN"):
            raise InvalidRequest(f"{path} is a private key: give {path}{PUBLIC_SUFFIX}, and keep this file where it is")
        try:
            lines = [line.partition(": ") for line in content.decode().splitlines() if line.strip()]
            fields = {name: value.strip() for name, _, value in lines}
            algorithm, _, text = fields["key"].partition(" ")
            key = cls(fields["name"], base64.b64decode(text, validate=True))
        except (KeyError, UnicodeDecodeError, binascii.Error):
            raise InvalidRequest(
                f"{path} is not a public key: expected the lines name, key and fingerprint of a file that"
                f" `nugetproxy bundle-key new` wrote with the suffix {PUBLIC_SUFFIX}"
            ) from None
        if algorithm != _ALGORITHM or len(key.raw) != _KEY_BYTES or not is_key_name(key.name):
            raise InvalidRequest(f"{path} is damaged: its key is not one of {_ALGORITHM}, or its name is not one line")
        if fields.get("fingerprint") != key.fingerprint:
            raise InvalidRequest(f"{path} is damaged or was changed: its key has the fingerprint {key.fingerprint}")
        return key


class PrivateKey:
    """A key that signs bundles."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> "PrivateKey":
        """The key of a file. Raises InvalidRequest for any other content, StorageUnavailable if it is unreadable."""
        try:
            key = load_pem_private_key(_read(path), None)
        except (ValueError, TypeError):
            raise InvalidRequest(
                f"{path} is not a private key of `nugetproxy bundle-key new`: expected PEM without a password"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidRequest(f"{path} is not an {_ALGORITHM} key: create one with `nugetproxy bundle-key new FILE`")
        return cls(key)

    def public(self, name: str) -> PublicKey:
        return PublicKey(name, self._key.public_key().public_bytes_raw())

    @property
    def fingerprint(self) -> str:
        return self.public("").fingerprint

    def sign(self, content: bytes) -> bytes:
        """The content of a signature file."""
        signature = base64.b64encode(self._key.sign(content)).decode()
        fields = {"algorithm": _ALGORITHM, "key": self.fingerprint, "signature": signature}
        return orjson.dumps(fields) + b"\n"

    def to_pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_key_pair(path: Path, name: str) -> PublicKey:
    """Create a key pair: `path`, readable by its owner only, and `path`.pub. Existing files are never replaced.

    Raises InvalidRequest if one of them exists or the name is not one line, StorageUnavailable.
    """
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    if not is_key_name(name):
        raise InvalidRequest(f"a key's name is one line of up to {_LONGEST_NAME} characters, not {name!r}")
    for each in (path, public_path):
        if os.path.lexists(each):
            raise InvalidRequest(f"{each} exists, and a key is never replaced: choose another name")
    key = PrivateKey.generate()
    public = key.public(name)
    _create(path, key.to_pem(), 0o600)
    try:
        _create(public_path, public.to_text().encode(), 0o644)
    except StorageUnavailable:
        path.unlink(missing_ok=True)
        raise
    return public


def is_key_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()


def is_open_to_others(path: Path) -> bool:
    """Whether a private key can be read by other users. False if that is not known."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def verify(content: bytes, signature: bytes, trusted: Sequence[PublicKey], where: str) -> PublicKey:
    """The trusted key that signed this content. Raises UntrustedBundle if there is none; `where` names the bundle."""
    fingerprint, raw = read_signature(signature, where)
    key = next((key for key in trusted if key.fingerprint == fingerprint), None)
    if key is None:
        names = ", ".join(map(str, trusted)) or "none"
        raise UntrustedBundle(where, f"it is signed with the key {fingerprint}; trusted are: {names}")
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(raw, content)
    except InvalidSignature:
        raise UntrustedBundle(where, f"its bundle.json was changed after {key} signed it") from None
    return key


def read_signature(content: bytes, where: str) -> tuple[str, bytes]:
    """The fingerprint of the key that is said to have signed, and the signature. Raises UntrustedBundle."""
    try:
        fields = orjson.loads(content)
        fingerprint, raw = fields["key"], base64.b64decode(fields["signature"], validate=True)
        if fields["algorithm"] != _ALGORITHM or not _is_fingerprint(fingerprint) or len(fields) != 3:
            raise ValueError("other fields")
    except (ValueError, KeyError, TypeError):
        raise UntrustedBundle(where, "its signature cannot be read") from None
    return fingerprint, raw


def _is_fingerprint(text: object) -> bool:
    return (
        isinstance(text, str)
        and text.startswith("SHA256:")
        and len(text) == 50
        and text.isascii()
        and text.isprintable()
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY_FILE)
    except OSError as error:
        raise StorageUnavailable(f"the key {path} cannot be read: {error.strerror}") from error


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise InvalidRequest(f"{path} exists, and a key is never replaced: choose another name") from None
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be created: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageUnavailable(f"{path} cannot be written: {error.strerror}") from error
