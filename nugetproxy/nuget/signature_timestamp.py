"""The timestamp of a signature: proof that the signature existed at a time, signed by a time-stamping authority.

Source: RFC 3161.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.certificates import TIME_STAMPING, Certificate, CertificateBag, TrustedRoots
from nugetproxy.nuget.signature_cms import Signer, load_signed_data
from nugetproxy.nuget.signature_signer import (
    DIGESTS,
    certificates_in,
    check_signed_data,
    check_signer,
    unsigned_value,
)

TIMESTAMP: Final = "1.2.840.113549.1.9.16.2.14"
_TIMESTAMP_INFO: Final = "1.2.840.113549.1.9.16.1.4"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """`at` is in seconds since the epoch; `root` is the end of the authority's chain."""

    at: float
    root: Certificate


def verified_timestamp(signer: Signer, roots: TrustedRoots) -> Timestamp | None:
    """The timestamp of a signer, None if it has none. Call it inside `readable_cms`.

    Raises:
        InvalidPackage: it has one that does not verify.
    """
    token = unsigned_value(signer, TIMESTAMP, "timestamp")
    if token is None:
        return None
    signed = load_signed_data(token, "timestamp")
    authority = check_signed_data(signed, _TIMESTAMP_INFO, "timestamp")
    encapsulated = signed["encap_content_info"]["content"]
    bag = CertificateBag(certificates_in(signed), roots)
    certificate = check_signer(authority, bytes(encapsulated), _TIMESTAMP_INFO, bag)
    info = encapsulated.parsed
    imprint = info["message_imprint"]
    algorithm = imprint["hash_algorithm"]["algorithm"].native
    if algorithm not in DIGESTS:
        raise InvalidPackage("its timestamp uses a hash that is not accepted")
    if imprint["hashed_message"].native != hashlib.new(algorithm, signer.info["signature"].native).digest():
        raise InvalidPackage("its timestamp is that of another signature")
    at = info["gen_time"].native.timestamp()
    return Timestamp(at, bag.chain(certificate, TIME_STAMPING, at)[-1])
