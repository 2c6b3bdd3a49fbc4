"""One signer of a CMS structure: whether its signature covers the content, and which certificate made it.

Used for author signatures, repository countersignatures and timestamps alike. asn1crypto parses lazily and raises many
exceptions; callers run this inside `readable_cms`.
Source: RFC 5652 (CMS), RFC 5035 (signing certificate), and the signed-package specification of NuGet for algorithms.
"""

import hashlib
from typing import Any, Final

from asn1crypto import core, tsp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.certificates import Certificate, CertificateBag
from nugetproxy.nuget.signature_cms import MOST_CERTIFICATES, Signer, at_most, defined, encoded, only_signer

DIGESTS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}

DATA: Final = "1.2.840.113549.1.7.1"
"""The content type of a package's signature."""

_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_NULL: Final = b"\x05\x00"
_SET: Final = b"\x31"
# By signature algorithm: the digest that it names, empty if it names none.
_RSA: Final = {"rsassa_pkcs1v15": "", "sha256_rsa": "sha256", "sha384_rsa": "sha384", "sha512_rsa": "sha512"}


def check_signed_data(signed: Any, content_type: str, what: str) -> Signer:
    """The only signer of signed data, after a check of the parts that no signature covers. `what` is for messages."""
    if signed["encap_content_info"]["content_type"].dotted != content_type:
        raise InvalidPackage(f"its {what} contains something else than expected")
    if not isinstance(signed["crls"], core.Void):
        raise InvalidPackage(f"its {what} contains revocation lists, which are not expected there")
    signer = Signer(only_signer(signed, what))
    is_first = content_type == DATA and signer.info["version"].native == "v1"
    if signed["version"].native != ("v1" if is_first else "v3"):
        raise InvalidPackage(f"its {what} has an unexpected version of CMS")
    digests = set(map(_name_of, signed["digest_algorithms"]))
    if _name_of(signer.info["digest_algorithm"]) not in digests or not digests <= DIGESTS.keys() | {"sha1"}:
        raise InvalidPackage(f"its {what} does not announce the digest that it uses")
    return signer


def certificates_in(signed: Any) -> list[bytes]:
    """The encoded certificates of signed data."""
    choices = [] if isinstance(signed["certificates"], core.Void) else signed["certificates"]
    if any(choice.name != "certificate" for choice in at_most(MOST_CERTIFICATES, choices, "certificates")):
        raise InvalidPackage("its signature has a certificate of an unknown kind")
    return [encoded(choice.chosen) for choice in choices]


def check_signer(signer: Signer, content: bytes, content_type: str | None, bag: CertificateBag) -> Certificate:
    """The certificate whose key signed `content`; its chain is not checked here.

    `content_type` is the object identifier that the signed attributes must state, None for a countersignature.

    Raises:
        InvalidPackage: the signature does not cover the content, or was not made with this certificate.
    """
    digest = _digest_of(signer)
    if content_type is not None:
        stated = core.ObjectIdentifier.load(only(signer.signed(_CONTENT_TYPE), "content type"))
        if stated.dotted != content_type:
            raise InvalidPackage("its signature states another type of content")
    promised = core.OctetString.load(only(signer.signed(_MESSAGE_DIGEST), "message digest")).native
    if promised != hashlib.new(digest, content).digest():
        raise InvalidPackage("its signature is over other content")
    certificate = _certificate_of(signer, bag)
    _check_stated_certificate(signer, certificate)
    key = certificate.content.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidPackage("its certificate has a key that is not RSA")
    # What is signed is the set itself, not the implicit tag that it has inside the signer.
    signed = _SET + encoded(signer.info["signed_attrs"])[1:]
    try:
        key.verify(signer.info["signature"].native, signed, padding.PKCS1v15(), DIGESTS[digest]())
    except InvalidSignature as error:
        raise InvalidPackage(
            f"its signature was not made with this certificate: {certificate.shown_subject}"
        ) from error
    return certificate


def only(values: list[bytes], what: str) -> bytes:
    """The value of an attribute that must have exactly one."""
    if len(values) != 1:
        raise InvalidPackage(f"its signature has {len(values)} values of {what}; exactly one is required")
    return values[0]


def unsigned_value(signer: Signer, oid: str, what: str) -> bytes | None:
    """The value of an unsigned attribute that may appear once."""
    values = signer.unsigned(oid)
    return only(values, what) if values else None


def _digest_of(signer: Signer) -> str:
    digest, signature = _name_of(signer.info["digest_algorithm"]), _name_of(signer.info["signature_algorithm"])
    if digest not in DIGESTS or _RSA.get(signature) not in ("", digest):
        raise InvalidPackage(f"its signature uses an algorithm that is not accepted: {signature[:32]}, {digest[:32]}")
    return digest


def _name_of(algorithm: Any) -> str:
    """The name of an algorithm that has no parameters."""
    if encoded(defined(algorithm)["parameters"]) not in (b"", _NULL):
        raise InvalidPackage("its signature uses an algorithm with unexpected parameters")
    return str(algorithm["algorithm"].native)


def _certificate_of(signer: Signer, bag: CertificateBag) -> Certificate:
    identifier = signer.info["sid"]
    if identifier.name == "subject_key_identifier":
        version, wanted = "v3", identifier.chosen.native
        found = [certificate for certificate in bag if certificate.key_id == wanted]
    else:
        version, wanted = "v1", identifier.chosen
        issuer, number = encoded(wanted["issuer"].chosen), wanted["serial_number"].native
        found = [each for each in bag if each.issuer == issuer and each.serial_number == number]
    if signer.info["version"].native != version:
        raise InvalidPackage("its signature has an unexpected version of CMS")
    if len(found) != 1:
        raise InvalidPackage("its signature does not contain the certificate of its signer")
    return found[0]


def _check_stated_certificate(signer: Signer, certificate: Certificate) -> None:
    """The signed attributes must name the certificate by hash: another one with the same key is not the signer."""
    new = signer.signed(_SIGNING_CERTIFICATE_V2)
    old = signer.signed(_SIGNING_CERTIFICATE)
    if new:
        stated = tsp.SigningCertificateV2.load(only(new, "signing certificate"))["certs"][0]
        algorithm = stated["hash_algorithm"]["algorithm"].native
        if algorithm not in DIGESTS:
            raise InvalidPackage("its signature names its certificate by a hash that is not accepted")
    else:
        stated = tsp.SigningCertificate.load(only(old, "signing certificate"))["certs"][0]
        algorithm = "sha1"
    if stated["cert_hash"].native != hashlib.new(algorithm, certificate.der, usedforsecurity=False).digest():
        raise InvalidPackage("its signature was made with another certificate than it states")
