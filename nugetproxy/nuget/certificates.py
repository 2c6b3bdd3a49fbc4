"""Certificates in package signatures: which issued which, and chains to a root.

A chain is valid at a moment and for a purpose. Whether its root is trusted depends on the roots that the caller gives.
Revocation is not checked: it needs the network, and a signature stays valid for what was signed before.
Source: RFC 5280, and the signed-package specification of NuGet for the required algorithms and key sizes.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeVar

from asn1crypto import pem as asn1_pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.signature_cms import MOST_CERTIFICATES, encoded

T = TypeVar("T", bound=x509.ExtensionType)

CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING.dotted_string
TIME_STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING.dotted_string
_ANY_PURPOSE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

_SMALLEST_KEY, _LARGEST_KEY, _LARGEST_EXPONENT = 2048, 8192, 2**33
_LONGEST_CHAIN: Final = 6
# Certificates of one name that may have issued another: a renewed or cross-signed one, not dozens.
_MOST_ISSUERS: Final = 3
_LONGEST_SHOWN: Final = 128
_DIGESTS: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# What this module takes into account, or what restricts nothing that is relevant here.
_UNDERSTOOD: Final = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.CertificatePolicies,
    x509.SubjectAlternativeName,
)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What verification needs of a certificate. Times are in seconds since the epoch, names are DER.

    `fingerprint` is its SHA-256 in lower-case hex. `purposes` are the object identifiers of its extended key usage,
    None if it has none.
    """

    der: bytes = field(repr=False)
    content: x509.Certificate = field(repr=False)
    fingerprint: str
    subject: bytes
    issuer: bytes
    serial_number: int
    key_id: bytes | None
    not_before: float
    not_after: float
    is_authority: bool
    path_length: int | None
    signs_data: bool
    purposes: frozenset[str] | None
    purposes_are_critical: bool

    @property
    def shown_subject(self) -> str:
        """Its subject for people, shortened."""
        return _shown_name(self.subject)

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer


@lru_cache(maxsize=512)
def read_certificate(der: bytes) -> Certificate:
    """Raises InvalidPackage: not a certificate, or one with a critical extension that is not understood."""
    try:
        return _read(der)
    except _UNREADABLE as error:
        raise InvalidPackage("its signature has an unreadable certificate") from error


class TrustedRoots:
    """Certificates that chains may end in, found by name. Falsy when there are none."""

    def __init__(self, certificates: Sequence[Certificate] = ()) -> None:
        self._by_subject: dict[bytes, list[Certificate]] = {}
        self.fingerprints = frozenset(certificate.fingerprint for certificate in certificates)
        for certificate in certificates:
            self._by_subject.setdefault(certificate.subject, []).append(certificate)

    def __bool__(self) -> bool:
        return bool(self.fingerprints)

    def __contains__(self, certificate: Certificate) -> bool:
        return certificate.fingerprint in self.fingerprints

    def named(self, subject: bytes) -> Sequence[Certificate]:
        """Those with this name (DER)."""
        return self._by_subject.get(subject, ())


NO_ROOTS: Final = TrustedRoots()


def read_roots(pem: bytes) -> TrustedRoots:
    """The certificates of a PEM file. Raises ValueError if there are none; unusable ones are left out."""
    roots = []
    try:
        for _, _, der in asn1_pem.unarmor(pem, multiple=True):
            with contextlib.suppress(InvalidPackage):
                roots.append(read_certificate(der))
    except (ValueError, TypeError) as error:
        raise ValueError("it is not a PEM file") from error
    if not roots:
        raise ValueError("it has no usable certificate")
    return TrustedRoots(roots)


class CertificateBag:
    """The certificates that came with one signature, and the roots known here.

    Every certificate that came must have a valid signature of its issuer, even if it is in no chain: otherwise a part
    of the file would be covered by nothing.

    Raises:
        InvalidPackage: a certificate is unreadable, altered or without its issuer, or there are too many.
    """

    def __init__(self, encoded: Iterable[bytes], roots: TrustedRoots = NO_ROOTS) -> None:
        ders = tuple(dict.fromkeys(encoded))
        if len(ders) > MOST_CERTIFICATES:
            raise InvalidPackage(f"its signature has {len(ders)} certificates; the limit is {MOST_CERTIFICATES}")
        self._own = tuple(map(read_certificate, ders))
        self._roots = roots
        self._by_subject: dict[bytes, list[Certificate]] = {}
        for certificate in self._own:
            self._by_subject.setdefault(certificate.subject, []).append(certificate)
        for certificate in self._own:
            if not any(self._issuers(certificate)):
                raise InvalidPackage(
                    f"its signature has a certificate without a valid issuer: {certificate.shown_subject}"
                )

    def __iter__(self) -> Iterator[Certificate]:
        return iter(self._own)

    def chain(self, leaf: Certificate, purpose: str, at: float) -> tuple[Certificate, ...]:
        """From the leaf to a self-signed root, all valid at `at` (seconds since the epoch) and for `purpose`.

        Of several chains, one that ends in a root known here comes first.

        Raises:
            InvalidPackage: there is none; says why.
        """
        _check_leaf(leaf, purpose)
        if not leaf.not_before <= at <= leaf.not_after:
            raise InvalidPackage(f"its certificate was not valid when it signed: {leaf.shown_subject}")
        chains = list(self._chains((leaf,), purpose, at))
        if not chains:
            raise InvalidPackage(f"there is no valid chain from its certificate to a root: {leaf.shown_subject}")
        return next((chain for chain in chains if chain[-1] in self._roots), chains[0])

    def _chains(self, begun: tuple[Certificate, ...], purpose: str, at: float) -> Iterator[tuple[Certificate, ...]]:
        last = begun[-1]
        for issuer in self._issuers(last):
            if issuer.fingerprint == last.fingerprint:
                yield begun
            elif (
                len(begun) < _LONGEST_CHAIN
                and all(issuer.fingerprint != known.fingerprint for known in begun)
                and issuer.is_authority
                and issuer.not_before <= at <= issuer.not_after
                and (issuer.path_length is None or issuer.path_length >= _authorities(begun))
                and (issuer.purposes is None or not issuer.purposes.isdisjoint({purpose, _ANY_PURPOSE}))
            ):
                yield from self._chains((*begun, issuer), purpose, at)

    def _issuers(self, certificate: Certificate) -> Iterator[Certificate]:
        known, own = self._roots.named(certificate.issuer), self._by_subject.get(certificate.issuer, ())
        candidates = {candidate.fingerprint: candidate for candidate in (*known, *own[:_MOST_ISSUERS])}
        for candidate in candidates.values():
            if _issued(candidate.der, certificate.der):
                yield candidate


def _authorities(chain: tuple[Certificate, ...]) -> int:
    """How many authorities are between the leaf and the next issuer; self-issued ones do not count."""
    return sum(not certificate.is_self_issued for certificate in chain[1:])


def _check_leaf(leaf: Certificate, purpose: str) -> None:
    if leaf.purposes is None or purpose not in leaf.purposes:
        raise InvalidPackage(f"its certificate is not meant for this kind of signature: {leaf.shown_subject}")
    if purpose == TIME_STAMPING and not (leaf.purposes_are_critical and len(leaf.purposes) == 1):
        raise InvalidPackage("the certificate of its timestamp is not only for timestamps")
    if not leaf.signs_data:
        raise InvalidPackage(f"its certificate is not meant for signatures: {leaf.shown_subject}")
    key = leaf.content.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidPackage("its certificate has a key that is not RSA")
    _check_key_size(key)


def _check_key_size(key: rsa.RSAPublicKey) -> None:
    """Smaller keys are weak, larger ones and large exponents make verification expensive."""
    if not (_SMALLEST_KEY <= key.key_size <= _LARGEST_KEY and key.public_numbers().e < _LARGEST_EXPONENT):
        raise InvalidPackage(f"it is signed with an RSA key of {key.key_size} bits or an unusual exponent")


@lru_cache(maxsize=1024)
def _issued(issuer_der: bytes, der: bytes) -> bool:
    """Whether the first certificate's key signed the second, with an accepted digest."""
    issuer, certificate = read_certificate(issuer_der), read_certificate(der)
    try:
        key, digest = issuer.content.public_key(), certificate.content.signature_hash_algorithm
        if issuer_der == der and isinstance(digest, hashes.SHA1) and isinstance(key, rsa.RSAPublicKey):
            # A root is trusted for what it is; its signature over itself only shows that it was not altered.
            signed = certificate.content.tbs_certificate_bytes
            key.verify(certificate.content.signature, signed, padding.PKCS1v15(), digest)
            return True
        if isinstance(key, rsa.RSAPublicKey):
            _check_key_size(key)
        if not isinstance(digest, _DIGESTS):
            return False
        certificate.content.verify_directly_issued_by(issuer.content)
    except (InvalidSignature, InvalidPackage, *_UNREADABLE):
        return False
    return True


def _read(der: bytes) -> Certificate:
    fields = asn1_x509.Certificate.load(der, strict=True)["tbs_certificate"]
    serial_number = fields["serial_number"].native
    if serial_number <= 0:  # the library will refuse these, and warns until then
        raise ValueError("its serial number is not positive")
    content = x509.load_der_x509_certificate(der)
    extensions = content.extensions
    for extension in extensions:
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            raise ValueError(f"unknown critical extension {extension.oid.dotted_string}")
    constraints = _value(extensions, x509.BasicConstraints)
    usage = _value(extensions, x509.KeyUsage)
    purposes = _value(extensions, x509.ExtendedKeyUsage)
    key_id = _value(extensions, x509.SubjectKeyIdentifier)
    return Certificate(
        der=der,
        content=content,
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=encoded(fields["subject"].chosen),
        issuer=encoded(fields["issuer"].chosen),
        serial_number=serial_number,
        key_id=None if key_id is None else key_id.digest,
        not_before=content.not_valid_before_utc.timestamp(),
        not_after=content.not_valid_after_utc.timestamp(),
        is_authority=constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign),
        path_length=None if constraints is None else constraints.path_length,
        signs_data=usage is None or usage.digital_signature or usage.content_commitment,
        purposes=None if purposes is None else frozenset(purpose.dotted_string for purpose in purposes),
        purposes_are_critical=purposes is not None
        and extensions.get_extension_for_class(x509.ExtendedKeyUsage).critical,
    )


@lru_cache(maxsize=512)
def _shown_name(name: bytes) -> str:
    try:
        text = str(asn1_x509.Name("", asn1_x509.RDNSequence.load(name)).human_friendly)[:_LONGEST_SHOWN]
    except _UNREADABLE:
        return "unreadable name"
    # It becomes part of messages and status lines, and anyone can make a certificate.
    return "".join(character if character.isprintable() else "?" for character in text) or "no name"


def _value(extensions: x509.Extensions, kind: type[T]) -> T | None:
    return next((extension.value for extension in extensions if isinstance(extension.value, kind)), None)
