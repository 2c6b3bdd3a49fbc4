"""Read .signature.p7s: what the CMS says about a package and its signers. The package itself is not read here.

asn1crypto is untyped and parses lazily, so this module translates all its exceptions into InvalidPackage.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from asn1crypto import cms, core

from nugetproxy.errors import InvalidPackage

_COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
_COMMITMENTS = {
    "1.2.840.113549.1.9.16.6.1": "author",  # proof of origin
    "1.2.840.113549.1.9.16.6.2": "repository",  # proof of receipt
}
_COUNTERSIGNATURE = "1.2.840.113549.1.9.6"
_SERVICE_INDEX_URL = "1.3.6.1.4.1.311.84.2.1.1.1"
_OWNERS = "1.3.6.1.4.1.311.84.2.1.1.2"

_ALGORITHMS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_CONTENT = re.compile(r"Version:1\r?\n\r?\n(?P<algorithm>[0-9.]+)-Hash:(?P<hash>[0-9A-Za-z+/=]+)\r?\n(?:\r?\n)*")


class SignatureKind(StrEnum):
    AUTHOR = "author"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class PackageSignature:
    """The contents of a signature; nothing is verified here.

    `kind` is that of the primary signature. `repository_url` and `owners` come from the repository's signature, whether
    primary or a countersignature on an author's. Fingerprints are SHA-256 of the certificate, in lower-case hex.
    """

    kind: SignatureKind
    hash_algorithm: str
    content_hash: str
    repository_url: str | None
    owners: tuple[str, ...]
    signer_fingerprint: str | None
    repository_fingerprint: str | None
    certificate_fingerprints: tuple[str, ...]

    @property
    def is_repository_signed(self) -> bool:
        """Whether a repository signed it, as primary signature or countersignature."""
        return self.kind is SignatureKind.REPOSITORY or self.repository_url is not None


class _Values(core.SetOf):  # type: ignore[misc] # asn1crypto is untyped
    _child_spec = core.Any


class _Commitment(core.SequenceOf):  # type: ignore[misc] # asn1crypto is untyped
    _child_spec = core.Any


class _Owners(core.SequenceOf):  # type: ignore[misc] # asn1crypto is untyped
    _child_spec = core.UTF8String


def read_signature(p7s: bytes) -> PackageSignature:
    """Raises InvalidPackage if it is not a package signature, as far as can be told without the package."""
    try:
        return _read(p7s)
    except InvalidPackage:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidPackage("its signature is not readable as CMS") from error


def _read(p7s: bytes) -> PackageSignature:
    container = cms.ContentInfo.load(p7s, strict=True)
    if container["content_type"].native != "signed_data":
        raise InvalidPackage("its signature is not signed data")
    signed = container["content"]
    algorithm, content_hash = _promise(signed["encap_content_info"]["content"].native)
    signers = list(signed["signer_infos"])
    if len(signers) != 1:
        raise InvalidPackage(f"its signature has {len(signers)} signers; exactly one is required")
    primary = signers[0]
    certificates = [choice.chosen for choice in signed["certificates"] if choice.name == "certificate"]
    kind = _kind(primary)
    repository = primary if kind is SignatureKind.REPOSITORY else _repository_countersignature(primary)
    return PackageSignature(
        kind=kind,
        hash_algorithm=algorithm,
        content_hash=content_hash,
        repository_url=_repository_url(repository),
        owners=_owners(repository),
        signer_fingerprint=_fingerprint(primary, certificates),
        repository_fingerprint=None if repository is None else _fingerprint(repository, certificates),
        certificate_fingerprints=tuple(dict.fromkeys(certificate.sha256.hex() for certificate in certificates)),
    )


def _promise(content: object) -> tuple[str, str]:
    match = _CONTENT.fullmatch(content.decode("utf-8")) if isinstance(content, bytes) else None
    if match is None:
        raise InvalidPackage("its signature does not state a content hash in a known format")
    algorithm = _ALGORITHMS.get(match["algorithm"])
    if algorithm is None:
        raise InvalidPackage(f"its signature uses an unknown hash algorithm {match['algorithm'][:64]}")
    try:
        digest = base64.b64decode(match["hash"], validate=True)
    except binascii.Error as error:
        raise InvalidPackage("its signature has a hash that is not base64") from error
    if len(digest) != _DIGEST_SIZES[algorithm]:
        raise InvalidPackage(f"its signature has a hash that is not a {algorithm}")
    return algorithm, base64.b64encode(digest).decode()


def _kind(signer: Any) -> SignatureKind:
    for value in _signed_values(signer, _COMMITMENT_TYPE):
        commitment_type = core.ObjectIdentifier.load(_Commitment.load(value)[0].dump())
        commitment = _COMMITMENTS.get(commitment_type.dotted)
        if commitment is not None:
            return SignatureKind(commitment)
    raise InvalidPackage("its signature is neither an author's nor a repository's")


def _repository_countersignature(signer: Any) -> Any | None:
    for values in _attribute_values(signer["unsigned_attrs"], _COUNTERSIGNATURE):
        countersigner = cms.SignerInfo.load(values)
        if _kind(countersigner) is SignatureKind.REPOSITORY:
            return countersigner
    return None


def _repository_url(signer: Any | None) -> str | None:
    values = [] if signer is None else _signed_values(signer, _SERVICE_INDEX_URL)
    return str(core.IA5String.load(values[0]).native) if values else None


def _owners(signer: Any | None) -> tuple[str, ...]:
    values = [] if signer is None else _signed_values(signer, _OWNERS)
    return tuple(str(owner.native) for owner in _Owners.load(values[0])) if values else ()


def _signed_values(signer: Any, oid: str) -> list[bytes]:
    return _attribute_values(signer["signed_attrs"], oid)


def _attribute_values(attributes: Any, oid: str) -> list[bytes]:
    """The encoded values of one attribute: asn1crypto decodes only some types, bytes work for all."""
    if isinstance(attributes, core.Void):
        return []
    return [
        value.dump()
        for attribute in attributes
        if attribute["type"].dotted == oid
        for value in _Values.load(attribute["values"].dump())
    ]


def _fingerprint(signer: Any, certificates: list[Any]) -> str | None:
    signer_id = signer["sid"]
    for certificate in certificates:
        if signer_id.name == "issuer_and_serial_number":
            wanted = signer_id.chosen
            found = (
                wanted["issuer"].dump() == certificate.issuer.dump()
                and wanted["serial_number"].native == certificate.serial_number
            )
        else:
            found = signer_id.chosen.native == certificate.key_identifier
        if found:
            return str(certificate.sha256.hex())
    return None
