"""Verify the signature of a package cryptographically: content, signatures, certificates, timestamps.

A repository is trusted by the fingerprints of its certificates, which its feed publishes (RepositorySignatures). An
author is trusted by a chain to a root that is named in the settings. What follows from the answer belongs to policy
rules. All functions are pure and take some milliseconds: call them in a thread.
Source: docs/reference/Signed-Packages-Reference, and the signed-package specification it refers to.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Final

from asn1crypto import cms

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.certificates import CODE_SIGNING, NO_ROOTS, CertificateBag, TrustedRoots
from nugetproxy.nuget.signature import read_intact_signature
from nugetproxy.nuget.signature_cms import (
    COUNTERSIGNATURE,
    SignatureKind,
    Signer,
    load_signed_data,
    readable_cms,
    stated_hash,
)
from nugetproxy.nuget.signature_signer import (
    DATA,
    certificates_in,
    check_signed_data,
    check_signer,
    unsigned_value,
)
from nugetproxy.nuget.signature_timestamp import TIMESTAMP, verified_timestamp

LARGEST_VERIFIED: Final = 256 * 1024
"""Bytes of a signature; real ones have 9 to 25 KB."""


@dataclass(frozen=True, slots=True)
class SignatureTrust:
    """Who is trusted. `repository_fingerprints` are SHA-256 in lower-case hex; `roots` are for authors."""

    repository_fingerprints: frozenset[str] = frozenset()
    roots: TrustedRoots = NO_ROOTS

    @property
    def key(self) -> str:
        """Differs when what is trusted differs: a result of verification is kept under it."""
        return _key(self.repository_fingerprints, self.roots.fingerprints)


@dataclass(frozen=True, slots=True)
class VerifiedSigner:
    """One valid signature. `signed_at` is the time of its timestamp in seconds since the epoch, None without one.

    `distrust` says why it is not trusted; empty if it is.
    """

    fingerprint: str
    subject: str
    signed_at: float | None
    distrust: str

    @property
    def is_trusted(self) -> bool:
        return not self.distrust


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """Every signature in it is valid; each may or may not be trusted.

    `owners` and `repository_url` are those in the repository's signature.
    """

    author: VerifiedSigner | None
    repository: VerifiedSigner | None
    repository_url: str | None = None
    owners: tuple[str, ...] = ()


def verify_package(file: BinaryIO, trust: SignatureTrust, now: float) -> VerifiedSignature | None:
    """Verify the whole package; None if it is unsigned. Reads the file once. `now` is in seconds since the epoch.

    Raises:
        InvalidPackage: a byte was changed, or a signature, certificate or timestamp is not valid.
    """
    p7s = read_intact_signature(file)
    return None if p7s is None else verify_signature(p7s, trust, now)


def verify_signature(p7s: bytes, trust: SignatureTrust, now: float) -> VerifiedSignature:
    """As `verify_package`, given only the signature: that the archive matches it is not checked here."""
    if len(p7s) > LARGEST_VERIFIED:
        raise InvalidPackage(f"its signature has {len(p7s)} bytes; up to {LARGEST_VERIFIED} are verified")
    with readable_cms():
        return _verified(p7s, trust, now)


def _verified(p7s: bytes, trust: SignatureTrust, now: float) -> VerifiedSignature:
    signed = load_signed_data(p7s, "signature")
    primary = check_signed_data(signed, DATA, "signature")
    content = signed["encap_content_info"]["content"].native
    stated_hash(content)
    bag = CertificateBag(certificates_in(signed), trust.roots)
    kind = primary.kind
    first = _signer(primary, kind, content, DATA, bag, trust, now)
    if kind is SignatureKind.REPOSITORY:
        _check_unsigned(primary, {TIMESTAMP})
        return VerifiedSignature(None, first, primary.repository_url, primary.owners)
    _check_unsigned(primary, {TIMESTAMP, COUNTERSIGNATURE})
    encoded = unsigned_value(primary, COUNTERSIGNATURE, "countersignature")
    if encoded is None:
        return VerifiedSignature(first, None)
    counter = Signer(cms.SignerInfo.load(encoded, strict=True))
    if counter.kind is not SignatureKind.REPOSITORY:
        raise InvalidPackage("its countersignature is not a repository's")
    _check_unsigned(counter, {TIMESTAMP})
    second = _signer(counter, SignatureKind.REPOSITORY, primary.info["signature"].native, None, bag, trust, now)
    return VerifiedSignature(first, second, counter.repository_url, counter.owners)


def _signer(
    signer: Signer,
    kind: SignatureKind,
    content: bytes,
    content_type: str | None,
    bag: CertificateBag,
    trust: SignatureTrust,
    now: float,
) -> VerifiedSigner:
    if kind is SignatureKind.REPOSITORY and not signer.repository_url:
        raise InvalidPackage("its repository signature does not name the repository")
    certificate = check_signer(signer, content, content_type, bag)
    timestamp = verified_timestamp(signer, trust.roots)
    chain = bag.chain(certificate, CODE_SIGNING, now if timestamp is None else timestamp.at)
    if kind is SignatureKind.REPOSITORY:
        # A timestamp only tells whether the certificate was valid: whoever has the published key decides the rest.
        is_known = certificate.fingerprint in trust.repository_fingerprints
        distrust = "" if is_known else "the feed does not publish the certificate of its repository signature"
    else:
        ends = [chain[-1]] if timestamp is None else [chain[-1], timestamp.root]
        is_known = all(end in trust.roots for end in ends)
        distrust = "" if is_known else f"its author's certificate ends in no trusted root ({ends[0].shown_subject})"
    return VerifiedSigner(
        certificate.fingerprint,
        certificate.shown_subject,
        None if timestamp is None else timestamp.at,
        distrust,
    )


def _check_unsigned(signer: Signer, expected: set[str]) -> None:
    """No signature covers these attributes, so unknown ones are refused."""
    if not set(signer.unsigned_types) <= expected:
        raise InvalidPackage("its signature has an unsigned attribute that is not expected there")


@lru_cache(maxsize=8)
def _key(repositories: frozenset[str], roots: frozenset[str]) -> str:
    trusted = sorted({*repositories, *(f"root {each}" for each in roots)})
    return hashlib.sha256("\n".join(trusted).encode()).hexdigest()[:16]
