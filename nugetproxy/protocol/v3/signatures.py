"""The RepositorySignatures resource: which certificates sign the packages of an upstream.

Signatures are checked in `nuget/signature.py`. Source: docs/api/repository-signatures-resource.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.documents import is_absolute_url, read_object, text_of, write
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.readable import CERTIFICATE, is_readable_date

SHA256_OID = "2.16.840.1.101.3.4.2.1"
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class RepositorySignatures:
    """`certificates` are the upstream's own objects; each has a SHA-256 fingerprint."""

    all_repository_signed: bool
    certificates: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def fingerprints(self) -> frozenset[str]:
        """SHA-256 of the certificates, in lower-case hex."""
        return frozenset(map(_fingerprint, self.certificates))

    @cached_property
    def addresses(self) -> dict[str, str]:
        """The certificates' URLs at the upstream, by fingerprint; certificates without a URL are missing."""
        addresses: dict[str, str] = {}
        for certificate in self.certificates:
            url = text_of(certificate.get("contentUrl"))
            if is_absolute_url(url):
                addresses.setdefault(_fingerprint(certificate), url)
        return addresses


def read_repository_signatures(body: bytes) -> RepositorySignatures:
    """
    Raises:
        UnreadableDocument: a field that clients need is missing or wrong. Guessing would weaken or break verification.
    """
    document = read_object(body, "repository signatures")
    all_signed, certificates = document.get("allRepositorySigned"), document.get("signingCertificates")
    if not isinstance(all_signed, bool):
        raise UnreadableDocument("repository signatures", "allRepositorySigned is neither true nor false")
    if not isinstance(certificates, list):
        raise UnreadableDocument("repository signatures", "signingCertificates is not an array")
    for certificate in certificates:
        _check_certificate(certificate)
    return RepositorySignatures(all_signed, tuple(certificates))


def write_repository_signatures(value: RepositorySignatures, links: Links, version: str) -> bytes:
    """The document of one type version ("4.7.0" or "5.0.0").

    Before 5.0.0 `allRepositorySigned` must be false: clients of that time cannot distinguish the cases.
    """
    return write(
        {
            "allRepositorySigned": value.all_repository_signed and not version.startswith("4."),
            "signingCertificates": [
                {**certificate, "contentUrl": links.certificate(_fingerprint(certificate))}
                for certificate in value.certificates
            ],
        }
    )


def merge_repository_signatures(several: Iterable[RepositorySignatures]) -> RepositorySignatures:
    """For a feed made of several: all is signed only if all of each is; on a duplicate certificate the first wins.

    An upstream without this resource counts as `RepositorySignatures(False, ())`.
    """
    parts = tuple(several)
    certificates: dict[str, dict[str, Any]] = {}
    for part in parts:
        for certificate in part.certificates:
            certificates.setdefault(_fingerprint(certificate), certificate)
    all_signed = bool(parts) and all(part.all_repository_signed for part in parts)
    return RepositorySignatures(all_signed, tuple(certificates.values()))


def _check_certificate(certificate: object) -> None:
    """Clients fail every restore from the source if a certificate lacks any of these fields."""
    if not isinstance(certificate, dict) or not _fingerprint(CERTIFICATE.repair(certificate)):
        raise UnreadableDocument("repository signatures", "a certificate has no SHA-256 fingerprint")
    if not all(isinstance(certificate.get(name), str) for name in ("subject", "issuer")):
        raise UnreadableDocument("repository signatures", "a certificate has no subject or no issuer")
    if not all(is_readable_date(certificate.get(name)) for name in ("notBefore", "notAfter")):
        raise UnreadableDocument("repository signatures", "a certificate has no validity period")


def _fingerprint(certificate: dict[str, Any]) -> str:
    """The lower-case SHA-256 fingerprint, or "". It becomes part of a URL, so nothing else is accepted."""
    fingerprints = certificate.get("fingerprints")
    value = fingerprints.get(SHA256_OID) if isinstance(fingerprints, dict) else None
    return value.lower() if isinstance(value, str) and _FINGERPRINT.fullmatch(value) else ""
