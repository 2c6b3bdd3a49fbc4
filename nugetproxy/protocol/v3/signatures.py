"""The RepositorySignatures resource: which certificates sign the packages of an upstream.

Checking a signature is `nuget/signature.py`'s affair. Source: docs/api/repository-signatures-resource.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.documents import is_absolute_url, read_object, write
from nugetproxy.protocol.links import Links

SHA256_OID = "2.16.840.1.101.3.4.2.1"
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class RepositorySignatures:
    """`certificates` are the upstream's own objects; each has a SHA-256 fingerprint."""

    all_repository_signed: bool
    certificates: tuple[dict[str, Any], ...] = field(repr=False)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Lower-case hexadecimal SHA-256 of each certificate."""
        return tuple(_fingerprint(certificate) for certificate in self.certificates)

    def certificate_url(self, sha256: str) -> str | None:
        """Where the upstream keeps the certificate with this hexadecimal fingerprint."""
        for certificate in self.certificates:
            if _fingerprint(certificate) == sha256.lower():
                url = certificate.get("contentUrl")
                return url if is_absolute_url(url) else None
        return None


def read_repository_signatures(body: bytes) -> RepositorySignatures:
    """
    Raises:
        UnreadableDocument: a field that clients need is missing or wrong. Guessing would loosen or break verification.
    """
    document = read_object(body, "repository signatures")
    all_signed, certificates = document.get("allRepositorySigned"), document.get("signingCertificates")
    if not isinstance(all_signed, bool):
        raise UnreadableDocument("repository signatures", "allRepositorySigned is not true or false")
    if not isinstance(certificates, list):
        raise UnreadableDocument("repository signatures", "signingCertificates is not an array")
    if not all(isinstance(certificate, dict) and _fingerprint(certificate) for certificate in certificates):
        raise UnreadableDocument("repository signatures", "a certificate has no SHA-256 fingerprint")
    return RepositorySignatures(all_signed, tuple(certificates))


def write_repository_signatures(value: RepositorySignatures, links: Links, version: str) -> bytes:
    """The document of one type version ("4.7.0" or "5.0.0").

    Before 5.0.0 `allRepositorySigned` must be false: clients of that time cannot tell the cases apart.
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
    """What holds for a feed made of several: all is signed only if all of each is; certificates of the first count.

    An upstream without this resource takes part as `RepositorySignatures(False, ())`.
    """
    parts = tuple(several)
    certificates: dict[str, dict[str, Any]] = {}
    for part in parts:
        for certificate in part.certificates:
            certificates.setdefault(_fingerprint(certificate), certificate)
    all_signed = bool(parts) and all(part.all_repository_signed for part in parts)
    return RepositorySignatures(all_signed, tuple(certificates.values()))


def _fingerprint(certificate: dict[str, Any]) -> str:
    """The lower-case SHA-256 fingerprint, empty when there is none. It goes into a URL: nothing else may pass."""
    fingerprints = certificate.get("fingerprints")
    value = fingerprints.get(SHA256_OID) if isinstance(fingerprints, dict) else None
    return value.lower() if isinstance(value, str) and _FINGERPRINT.fullmatch(value) else ""
