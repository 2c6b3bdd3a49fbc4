"""Checks whether a body sent by an upstream is the requested package.

Length, hashes, identity, and the signature if there is one. Nothing else about the package is checked: it may be
ZIP64, and its nuspec is read up to the limits of `nuget/nuspec_parser.py`. Pure checks of complete files: receiving
and storing them does not belong here.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import BinaryIO

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import check_content as check_signature

_SHA512_BYTES = 64


class ContentRejectedError(Exception):
    """The bytes failed a check; `check` is its name (length, hash, signature, archive, identity)."""

    def __init__(self, check: str, why: str) -> None:
        self.check = check
        self.why = why
        super().__init__(f"{check}: {why}")


@dataclass(frozen=True, slots=True)
class Stated:
    """What the upstream stated about the body before sending it. `sha512` is base64, `md5` the digest."""

    total: int | None = None
    sha512: str | None = None
    md5: bytes | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What was received. The digests were computed on the way."""

    file: BinaryIO
    size: int
    sha512: bytes
    md5: bytes


@dataclass(frozen=True, slots=True)
class AcceptedContent:
    """What was read from the package during the checks. `content_hash` is that of lock files.

    `nuspec` is None if it is too large to be held in memory: then it is only in the package.
    """

    manifest: PackageManifest
    nuspec: bytes | None
    content_hash: str


def check_content(received: Received, stated: Stated, identity: PackageIdentity) -> AcceptedContent:
    """Run the checks, cheap ones first. Blocks while reading the file: call it in a thread.

    Raises ContentRejectedError.
    """
    if stated.total is not None and received.size != stated.total:
        raise ContentRejectedError("length", f"{received.size} bytes were received, {stated.total} were announced")
    _check_hashes(received, stated)
    try:
        package = Nupkg(received.file)
        manifest, nuspec = package.manifest, None if package.has_large_nuspec else package.nuspec
    except InvalidPackage as error:
        raise ContentRejectedError("archive", str(error)) from error
    if manifest.identity != identity:
        raise ContentRejectedError("identity", f"{identity} was requested, {manifest.identity} was received")
    try:
        # Most packages of nuget.org are signed. This detects a flipped byte even if the upstream states no hash.
        content_hash = check_signature(received.file).content_hash
    except InvalidPackage as error:
        raise ContentRejectedError("signature", str(error)) from error
    return AcceptedContent(manifest, nuspec, content_hash)


def _check_hashes(received: Received, stated: Stated) -> None:
    sha512 = _sha512_in(stated.sha512)
    if sha512 is not None and sha512 != received.sha512:
        raise ContentRejectedError("hash", "the bytes do not match the announced SHA-512")
    if stated.md5 is not None and stated.md5 != received.md5:
        raise ContentRejectedError("hash", "the bytes do not match the announced Content-MD5")


def _sha512_in(text: str | None) -> bytes | None:
    """None for a malformed hash: it was damaged on the way, and proves nothing about the bytes."""
    try:
        digest = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == _SHA512_BYTES else None
