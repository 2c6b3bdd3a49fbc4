"""
Signs packages as nuget.org does: with RSA, a chain of certificates and a timestamp. Every part can be made wrong.
"""

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.builders import SERVICE_INDEX_URL, SIGNATURE_NAME, insert_stored

CODE, TIME, SERVER = (
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.SERVER_AUTH,
)
SIGNED_AT = datetime(2025, 6, 1, tzinfo=UTC)
FROM, TO = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
COUNTERSIGNATURE = "1.2.840.113549.1.9.6"
_TIME_INFO = "1.2.840.113549.1.9.16.1.4"
_SEQUENCE, _SET, _OCTETS = 0x30, 0x31, 0x04
_VERSION_3 = b"\x02\x01\x03"
_ALWAYS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


@functools.cache
def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name and run."""
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Party:
    """A certificate, its key and the certificates above it."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    above: "tuple[Party, ...]" = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def ders(self) -> list[bytes]:
        return [self.der, *(each.der for each in self.above)]


@functools.cache
def party(
    name: str,
    issuer: Party | None = None,
    *,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    critical: bool = False,
    is_authority: bool = False,
    path_length: int | None = None,
    valid: tuple[datetime, datetime] = _ALWAYS,
    bits: int = 2048,
    digest: type[hashes.SHA256 | hashes.SHA384] = hashes.SHA256,
    signs: bool = True,
    more: x509.ExtensionType | None = None,
    own_key: str = "",
) -> Party:
    # Few keys, because making one takes long; a signature finds its certificate by the key.
    own = key(own_key or ("authority" if is_authority else "signer"), bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(signs, False, False, False, False, is_authority, is_authority, False, False), critical=True
        )
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
    if more is not None:
        builder = builder.add_extension(more, critical=True)
    made = builder.sign(own if issuer is None else issuer.key, digest())
    return Party(made, own, () if issuer is None else (issuer, *issuer.above))


@functools.cache
def root(name: str = "Root") -> Party:
    return party(name, is_authority=True)


@functools.cache
def authority() -> Party:
    return party("Issuing CA", root(), is_authority=True, path_length=0)


@functools.cache
def author() -> Party:
    return party("Contoso", authority(), purposes=(CODE,), valid=(FROM, TO))


@functools.cache
def repository() -> Party:
    return party("Repository", authority(), purposes=(CODE,), valid=(FROM, TO), own_key="repository")


@functools.cache
def clock() -> Party:
    return party("Clock", root("Time Root"), purposes=(TIME,), critical=True)


@dataclass(frozen=True)
class Stamp:
    """A timestamp to be made; `imprint` replaces the hash of the signature."""

    by: Party = field(default_factory=clock)
    at: datetime = SIGNED_AT
    imprint: bytes | None = None
    digest: str = "sha256"


@dataclass(frozen=True)
class Signing:
    """A signature to be made. `stated` is the certificate that the signed attributes name."""

    by: Party
    kind: str
    stamp: Stamp | None = field(default_factory=Stamp)
    stated: Party | None = None
    owners: Sequence[str] = ("contoso",)
    url: str | None = SERVICE_INDEX_URL
    digest: str = "sha256"
    unsigned: tuple[tuple[str, bytes], ...] = ()


def signed(package: bytes, primary: Signing, counter: Signing | None = None) -> bytes:
    """The package with a signature."""
    return insert_stored(package, SIGNATURE_NAME, p7s(hashlib.sha256(package).digest(), primary, counter))


def p7s(digest: bytes, primary: Signing, counter: Signing | None = None, more: Sequence[bytes] = ()) -> bytes:
    """A .signature.p7s; `more` are certificates that belong to nobody."""
    text = f"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:{base64.b64encode(digest).decode()}\n\n".encode()
    info = signer_info(text, primary, counter)
    ders = [*primary.by.ders, *(() if counter is None else counter.by.ders)]
    return _container("1.2.840.113549.1.7.1", text, info, [*ders, *more], primary.digest)


def signer_info(content: bytes, signing: Signing, counter: Signing | None = None) -> bytes:
    """A SignerInfo, with a countersignature if there is one."""
    attributes = [
        attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.7.1")),
        attribute("1.2.840.113549.1.9.4", tlv(_OCTETS, hashlib.new(signing.digest, content).digest())),
        attribute(
            "1.2.840.113549.1.9.16.2.16",
            tlv(_SEQUENCE, oid(f"1.2.840.113549.1.9.16.6.{1 if signing.kind == 'author' else 2}")),
        ),
        _stated(signing.stated or signing.by),
    ]
    if signing.kind == "repository":
        if signing.url is not None:
            attributes.append(attribute("1.3.6.1.4.1.311.84.2.1.1.1", tlv(0x16, signing.url.encode())))
        owners = (tlv(0x0C, owner.encode()) for owner in signing.owners)
        attributes.append(attribute("1.3.6.1.4.1.311.84.2.1.1.2", tlv(_SEQUENCE, *owners)))
    signature = _signature(signing.by, attributes, signing.digest)
    unsigned = [attribute(name, value) for name, value in signing.unsigned]
    if signing.stamp is not None:
        unsigned.append(attribute("1.2.840.113549.1.9.16.2.14", _token(signature, signing.stamp)))
    if counter is not None:
        unsigned.append(attribute(COUNTERSIGNATURE, signer_info(signature, counter)))
    return _info(signing.by, attributes, signing.digest, signature, unsigned)


def signature_of(content: bytes, signing: Signing) -> bytes:
    """The signature itself, as in `signer_info`."""
    return bytes(cms.SignerInfo.load(signer_info(content, signing))["signature"].native)


def attribute(name: str, value: bytes) -> bytes:
    return tlv(_SEQUENCE, oid(name), tlv(_SET, value))


def oid(dotted: str) -> bytes:
    return bytes(core.ObjectIdentifier(dotted).dump())


def tlv(tag: int, *parts: bytes) -> bytes:
    """A DER value. Not by asn1crypto: what has a length whose last byte is 0x80 it encodes in exponential time."""
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _token(signature: bytes, stamp: Stamp) -> bytes:
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": "1.2.3.4",
            "message_imprint": {
                "hash_algorithm": {"algorithm": stamp.digest},
                "hashed_message": stamp.imprint or hashlib.new(stamp.digest, signature).digest(),
            },
            "serial_number": 7,
            "gen_time": stamp.at,
        }
    ).dump()
    attributes = [
        attribute("1.2.840.113549.1.9.3", oid(_TIME_INFO)),
        attribute("1.2.840.113549.1.9.4", tlv(_OCTETS, hashlib.sha256(info).digest())),
        _stated(stamp.by),
    ]
    signer = _info(stamp.by, attributes, "sha256", _signature(stamp.by, attributes, "sha256"), [])
    return _container(_TIME_INFO, info, signer, stamp.by.ders, "sha256")


def _signature(by: Party, attributes: Sequence[bytes], digest: str) -> bytes:
    made_with: hashes.HashAlgorithm = hashes.SHA1() if digest == "sha1" else hashes.SHA256()
    return by.key.sign(tlv(_SET, *sorted(attributes)), padding.PKCS1v15(), made_with)


def _info(by: Party, attributes: Sequence[bytes], digest: str, signature: bytes, unsigned: Sequence[bytes]) -> bytes:
    key_id = by.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return tlv(
        _SEQUENCE,
        _VERSION_3,
        tlv(0x80, key_id),
        _algorithm(digest),
        tlv(0xA0, *sorted(attributes)),
        tlv(_SEQUENCE, oid("1.2.840.113549.1.1.1"), b"\x05\x00"),
        tlv(_OCTETS, signature),
        tlv(0xA1, *sorted(unsigned)) if unsigned else b"",
    )


def _container(kind: str, content: bytes, info: bytes, ders: Sequence[bytes], digest: str) -> bytes:
    data = tlv(
        _SEQUENCE,
        _VERSION_3,
        tlv(_SET, _algorithm(digest)),
        tlv(_SEQUENCE, oid(kind), tlv(0xA0, tlv(_OCTETS, content))),
        tlv(0xA0, *sorted(set(ders))),
        tlv(_SET, info),
    )
    return tlv(_SEQUENCE, oid("1.2.840.113549.1.7.2"), tlv(0xA0, data))


def _algorithm(digest: str) -> bytes:
    return tlv(_SEQUENCE, oid("1.3.14.3.2.26" if digest == "sha1" else "2.16.840.1.101.3.4.2.1"))


def _stated(by: Party) -> bytes:
    named = tlv(_SEQUENCE, tlv(_OCTETS, hashlib.sha256(by.der).digest()))
    return attribute("1.2.840.113549.1.9.16.2.47", tlv(_SEQUENCE, tlv(_SEQUENCE, named)))
