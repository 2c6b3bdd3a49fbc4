"""Read .signature.p7s: what the CMS says about a package and its signers. The package itself is not read here.

asn1crypto is untyped and parses lazily, so this module translates all its exceptions into InvalidPackage.
"""

import base64
import binascii
import contextlib
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from asn1crypto import cms, core

from nugetproxy.errors import InvalidPackage

_COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
_COMMITMENTS = {
    "1.2.840.113549.1.9.16.6.1": "author",  # proof of origin
    "1.2.840.113549.1.9.16.6.2": "repository",  # proof of receipt
}
COUNTERSIGNATURE: Final = "1.2.840.113549.1.9.6"
_SERVICE_INDEX_URL = "1.3.6.1.4.1.311.84.2.1.1.1"
_OWNERS = "1.3.6.1.4.1.311.84.2.1.1.2"

MOST_ATTRIBUTES: Final = 32
"""Of one signer, signed or unsigned, and values of one attribute; real ones have at most seven."""

MOST_CERTIFICATES: Final = 32
"""In one signature; real ones have at most nine."""

MOST_OWNERS: Final = 1000

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


class Signer:
    """One SignerInfo. Attributes are found by object identifier.

    Values are returned as bytes, because asn1crypto decodes only some types.
    Its methods raise what asn1crypto raises on malformed input, or InvalidPackage.
    """

    def __init__(self, info: Any) -> None:
        self.info = defined(info)
        self._signed = _by_type(info["signed_attrs"])
        self._unsigned = _by_type(info["unsigned_attrs"])

    @property
    def unsigned_types(self) -> Collection[str]:
        """The object identifiers of the attributes that no signature covers."""
        return self._unsigned.keys()

    def signed(self, oid: str) -> list[bytes]:
        """The encoded values of a signed attribute; empty if there is none."""
        return _values(self._signed.get(oid, ()))

    def unsigned(self, oid: str) -> list[bytes]:
        """As `signed`, of the attributes that this signature does not cover."""
        return _values(self._unsigned.get(oid, ()))

    @property
    def kind(self) -> SignatureKind:
        for value in self.signed(_COMMITMENT_TYPE):
            commitment_type = core.ObjectIdentifier.load(encoded(_Commitment.load(value)[0]))
            commitment = _COMMITMENTS.get(commitment_type.dotted)
            if commitment is not None:
                return SignatureKind(commitment)
        raise InvalidPackage("its signature is neither an author's nor a repository's")

    @property
    def repository_url(self) -> str | None:
        values = self.signed(_SERVICE_INDEX_URL)
        return str(core.IA5String.load(values[0]).native) if values else None

    @property
    def owners(self) -> tuple[str, ...]:
        values = self.signed(_OWNERS)
        if not values:
            return ()
        return tuple(str(owner.native) for owner in at_most(MOST_OWNERS, _Owners.load(values[0]), "owners"))


def encoded(value: Any) -> bytes:
    """The bytes that a value, which has no explicit tag and is no choice, was loaded from.

    Not `dump`: where the last byte of a length is 0x80 it takes that for an indefinite length and encodes the value
    again, recursively and in exponential time.
    """
    return b"" if isinstance(value, core.Void) else bytes(value._header + value.contents + value._trailer)


def _sha256(certificate: Any) -> str:
    return hashlib.sha256(encoded(certificate)).hexdigest()


def _by_type(attributes: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if isinstance(attributes, core.Void):
        return found
    for attribute in at_most(MOST_ATTRIBUTES, attributes, "attributes"):
        found.setdefault(attribute["type"].dotted, []).append(attribute)
    return found


def _values(attributes: Iterable[Any]) -> list[bytes]:
    found: list[bytes] = []
    for attribute in attributes:
        values = _Values.load(encoded(attribute["values"]))
        found += map(encoded, at_most(MOST_ATTRIBUTES, values, "values of an attribute"))
    return found


def at_most(limit: int, values: Any, what: str) -> Any:
    """The sequence or set, if it is not longer: each value that is looked at costs microseconds."""
    if len(values) > limit:
        raise InvalidPackage(f"its signature has {len(values)} {what}; the limit is {limit}")
    return values


def read_signature(p7s: bytes) -> PackageSignature:
    """Raises InvalidPackage if it is not a package signature, as far as can be told without the package."""
    with readable_cms():
        return _read(load_signed_data(p7s, "signature"))


def read_stated_hash(p7s: bytes) -> tuple[str, str]:
    """Algorithm and base64 of the content hash, without looking at certificates. Raises as `read_signature`."""
    with readable_cms():
        signed = load_signed_data(p7s, "signature")
        _ = Signer(only_signer(signed, "signature")).kind
        return stated_hash(signed["encap_content_info"]["content"].native)


@contextlib.contextmanager
def readable_cms() -> Iterator[None]:
    """Translates what asn1crypto raises about malformed input into InvalidPackage."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidPackage("its signature is not readable as CMS") from error


def load_signed_data(encoded: bytes, what: str) -> Any:
    """The SignedData in a ContentInfo; call it inside `readable_cms`. `what` is for messages."""
    container = defined(cms.ContentInfo.load(encoded, strict=True))
    if container["content_type"].native != "signed_data":
        raise InvalidPackage(f"its {what} is not signed data")
    signed = defined(container["content"])
    defined(signed["encap_content_info"])
    return signed


def defined(sequence: Any) -> Any:
    """The sequence, if it has no more fields than it is defined to have: asn1crypto silently ignores the others."""
    _ = sequence[0]  # parses it
    if len(sequence.children) > len(sequence._fields):
        raise InvalidPackage("its signature has a field that is not expected there")
    return sequence


def only_signer(signed: Any, what: str) -> Any:
    """The SignerInfo of signed data that must have exactly one."""
    signers = signed["signer_infos"]
    if len(signers) != 1:
        raise InvalidPackage(f"its {what} has {len(signers)} signers; exactly one is required")
    return signers[0]


def _read(signed: Any) -> PackageSignature:
    algorithm, content_hash = stated_hash(signed["encap_content_info"]["content"].native)
    primary = Signer(only_signer(signed, "signature"))
    choices = at_most(MOST_CERTIFICATES, signed["certificates"], "certificates")
    certificates = [choice.chosen for choice in choices if choice.name == "certificate"]
    kind = primary.kind
    repository = primary if kind is SignatureKind.REPOSITORY else _repository_countersignature(primary)
    return PackageSignature(
        kind=kind,
        hash_algorithm=algorithm,
        content_hash=content_hash,
        repository_url=None if repository is None else repository.repository_url,
        owners=() if repository is None else repository.owners,
        signer_fingerprint=_fingerprint(primary, certificates),
        repository_fingerprint=None if repository is None else _fingerprint(repository, certificates),
        certificate_fingerprints=tuple(dict.fromkeys(map(_sha256, certificates))),
    )


def stated_hash(content: object) -> tuple[str, str]:
    """Algorithm and base64 of the content hash in the signed text. Raises InvalidPackage."""
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


def _repository_countersignature(primary: Signer) -> Signer | None:
    for values in primary.unsigned(COUNTERSIGNATURE):
        countersigner = Signer(cms.SignerInfo.load(values))
        if countersigner.kind is SignatureKind.REPOSITORY:
            return countersigner
    return None


def _fingerprint(signer: Signer, certificates: list[Any]) -> str | None:
    signer_id = signer.info["sid"]
    for certificate in certificates:
        if signer_id.name == "issuer_and_serial_number":
            wanted = signer_id.chosen
            found = (
                encoded(wanted["issuer"].chosen) == encoded(certificate.issuer.chosen)
                and wanted["serial_number"].native == certificate.serial_number
            )
        else:
            found = signer_id.chosen.native == certificate.key_identifier
        if found:
            return _sha256(certificate)
    return None
