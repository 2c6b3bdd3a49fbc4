"""Whether a body that an upstream sent is the package that was asked for.

Length, hashes, identity, and the signature if there is one. How a package is made otherwise is not ours to judge: it
may be ZIP64, and of its nuspec as much is read as the bounds of `nuget/nuspec_parser.py` allow.
Pure judgement over bytes that lie still: who received them, and what becomes of them, is not known here.
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
    """The bytes fail a check: `check` is its name (length, hash, signature, archive, identity)."""

    def __init__(self, check: str, why: str) -> None:
        self.check = check
        self.why = why
        super().__init__(f"{check}: {why}")


@dataclass(frozen=True, slots=True)
class Stated:
    """What the upstream said about the body before sending it. `sha512` is base64, `md5` the digest."""

    total: int | None = None
    sha512: str | None = None
    md5: bytes | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What came. The digests were computed while it did."""

    file: BinaryIO
    size: int
    sha512: bytes
    md5: bytes


@dataclass(frozen=True, slots=True)
class AcceptedContent:
    """What reading the package told on the way. `content_hash` is that of lock files.

    `nuspec` is None when it is too large to be held in memory: then it stays in the package alone.
    """

    manifest: PackageManifest
    nuspec: bytes | None
    content_hash: str


def check_content(received: Received, stated: Stated, identity: PackageIdentity) -> AcceptedContent:
    """The cheap checks first. Blocks for as long as reading the file takes: call it in a thread.

    Raises ContentRejectedError.
    """
    if stated.total is not None and received.size != stated.total:
        raise ContentRejectedError("length", f"{received.size} bytes came, {stated.total} were announced")
    _check_hashes(received, stated)
    try:
        package = Nupkg(received.file)
        manifest, nuspec = package.manifest, None if package.has_large_nuspec else package.nuspec
    except InvalidPackage as error:
        raise ContentRejectedError("archive", str(error)) from error
    if manifest.identity != identity:
        raise ContentRejectedError("identity", f"{identity} was asked for, {manifest.identity} came")
    try:
        # Most packages of nuget.org are signed. This finds a flipped byte even where the upstream states no hash.
        content_hash = check_signature(received.file).content_hash
    except InvalidPackage as error:
        raise ContentRejectedError("signature", str(error)) from error
    return AcceptedContent(manifest, nuspec, content_hash)


def _check_hashes(received: Received, stated: Stated) -> None:
    sha512 = _sha512_in(stated.sha512)
    if sha512 is not None and sha512 != received.sha512:
        raise ContentRejectedError("hash", "the bytes are not those of the SHA-512 that was announced")
    if stated.md5 is not None and stated.md5 != received.md5:
        raise ContentRejectedError("hash", "the bytes are not those of the Content-MD5 that was announced")


def _sha512_in(text: str | None) -> bytes | None:
    """None for a hash that is no hash: it was mangled on its way, and proves nothing about the bytes."""
    try:
        digest = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == _SHA512_BYTES else None
