import dataclasses
import hashlib
import io
import json
import random
import time
from datetime import UTC, datetime

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.certificates import read_roots
from nugetproxy.nuget.signature import read_intact_signature, read_signature
from nugetproxy.nuget.signature_cms import MOST_CERTIFICATES, MOST_OWNERS
from nugetproxy.nuget.signature_verification import (
    LARGEST_VERIFIED,
    SignatureTrust,
    VerifiedSignature,
    verify_package,
    verify_signature,
)
from tests import signing
from tests.builders import SERVICE_INDEX_URL, make_nupkg, sign
from tests.nuget.test_signature import real_packages
from tests.shared import shared
from tests.signing import CODE, FROM, SERVER, SIGNED_AT, TIME, TO, Signing, Stamp, party

PACKAGE = make_nupkg(payload=b"some content")
NULL = b"\x05\x00"
DIGEST = hashlib.sha256(PACKAGE).digest()
NOW = datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def trust() -> SignatureTrust:
    return SignatureTrust(
        frozenset({signing.repository().fingerprint}),
        read_roots(signing.root().pem + signing.root("Time Root").pem),
    )


def by_author(**changes) -> Signing:
    return dataclasses.replace(Signing(signing.author(), "author"), **changes)


def by_repository(**changes) -> Signing:
    return dataclasses.replace(Signing(signing.repository(), "repository"), **changes)


def verified(primary: Signing, counter: Signing | None = None, now: float = NOW) -> VerifiedSignature:
    return verify_signature(signing.p7s(DIGEST, primary, counter), trust(), now)


# --- valid signatures -----------------------------------------------------------------------------------------------


def test_a_repository_signature():
    package = signing.signed(PACKAGE, by_repository(owners=("one", "two")))

    found = verify_package(io.BytesIO(package), trust(), NOW)

    assert found is not None
    assert found.repository is not None
    assert found.author is None
    assert found.repository.is_trusted
    assert found.repository.signed_at == SIGNED_AT.timestamp()
    assert found.repository.fingerprint == signing.repository().fingerprint
    assert found.repository_url == SERVICE_INDEX_URL
    assert found.owners == ("one", "two")


def test_an_author_signature_with_a_countersignature():
    found = verified(by_author(), by_repository())

    assert found.author is not None
    assert found.repository is not None
    assert found.author.is_trusted
    assert found.repository.is_trusted
    assert found.owners == ("contoso",)


def test_an_unsigned_package():
    assert verify_package(io.BytesIO(PACKAGE), trust(), NOW) is None


def test_nobody_is_trusted_without_being_named():
    found = verify_signature(signing.p7s(DIGEST, by_author(), by_repository()), SignatureTrust(), NOW)

    assert found.author is not None
    assert found.repository is not None
    assert "ends in no trusted root (Common Name: Root)" in found.author.distrust
    assert "does not publish the certificate" in found.repository.distrust


def test_a_certificate_of_the_same_name_is_not_the_published_one():
    """
    Somebody else's root can issue a certificate with every name of the repository's.
    """
    other = party("Repository", signing.root("Other Root"), purposes=(CODE,), valid=(FROM, TO))

    found = verified(by_repository(by=other))

    assert found.repository is not None
    assert not found.repository.is_trusted


def test_an_author_needs_a_timestamp_of_a_trusted_authority():
    """
    With one of its own making, an expired certificate that was stolen would be valid again.
    """
    own = party("Own Clock", signing.root("Own Root"), purposes=(TIME,), critical=True)

    found = verified(by_author(stamp=Stamp(by=own)))

    assert found.author is not None
    assert not found.author.is_trusted


def test_without_a_timestamp_the_certificate_must_be_valid_now():
    inside = datetime(2025, 7, 1, tzinfo=UTC).timestamp()
    found = verified(by_repository(stamp=None), now=inside)

    assert found.repository is not None
    assert found.repository.signed_at is None
    with pytest.raises(InvalidPackage, match="was not valid when it signed"):
        verified(by_repository(stamp=None), now=NOW)


def test_a_root_that_is_only_known_here():
    """
    A signature may leave out its root if that is among the trusted ones.
    """
    short = dataclasses.replace(signing.author(), above=(signing.authority(),))

    found = verified(by_author(by=short))

    assert found.author is not None
    assert found.author.is_trusted
    with pytest.raises(InvalidPackage, match="without a valid issuer: Common Name: Issuing CA"):
        verify_signature(signing.p7s(DIGEST, by_author(by=short)), SignatureTrust(), NOW)


def test_of_several_chains_the_trusted_one_counts():
    """
    The authority was also certified by another root, and both chains are in the signature.
    """
    other = signing.root("Other Root")
    crossed = dataclasses.replace(party("Root", other, is_authority=True), above=())
    for above in ((crossed, other, signing.root()), (signing.root(), other, crossed), (crossed, other)):
        by = dataclasses.replace(signing.author(), above=(signing.authority(), *above))
        found = verified(by_author(by=by))

        assert found.author is not None
        assert found.author.is_trusted


# --- signatures that are not valid ----------------------------------------------------------------------------------


def leaf(**changes) -> signing.Party:
    return party(
        changes.pop("name", "Leaf"), changes.pop("issuer", signing.authority()), **{"purposes": (CODE,), **changes}
    )


def forged(by: signing.Party) -> signing.Party:
    return dataclasses.replace(by, key=signing.key("Forger"))


def test_signatures_that_are_not_valid():
    authority, root = signing.authority(), signing.root()
    stranger = party("Stranger", is_authority=True)
    same_name = party("Contoso", authority, purposes=(CODE,), valid=(FROM, TO), digest=hashes.SHA384)
    expired = party("Old CA", root, is_authority=True, valid=(datetime(2020, 1, 1), datetime(2021, 1, 1)))
    no_authority = party("No CA", root, own_key="authority")
    deep = party("Deep CA", authority, is_authority=True)
    servers = party("Servers CA", root, is_authority=True, purposes=(SERVER,))
    both = party("Both", root, purposes=(TIME, CODE), critical=True)
    impostor = party("Root", is_authority=True, own_key="Forger")
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    wrong = {
        "without a valid issuer": by_author(by=dataclasses.replace(signing.author(), above=(root,))),
        "not made with this certificate": by_author(by=forged(signing.author())),
        "another certificate than it states": by_author(stated=same_name),
        "not meant for this kind": by_author(by=leaf(purposes=(SERVER,))),
        "not meant for this kind of": by_author(by=leaf(purposes=(), name="None")),
        "not meant for signatures": by_author(by=leaf(signs=False)),
        "was not valid when it signed": by_author(by=leaf(valid=(SIGNED_AT.replace(month=7), TO))),
        "was not valid when": by_author(stamp=Stamp(at=TO.replace(year=2027))),
        "no valid chain": by_author(by=leaf(issuer=expired)),
        "no valid chain from": by_author(by=leaf(issuer=no_authority)),
        "no valid chain from its": by_author(by=leaf(issuer=deep)),
        "no valid chain from its certificate": by_author(by=leaf(issuer=servers)),
        "RSA key of 1024 bits": by_author(by=leaf(bits=1024)),
        "unreadable certificate": by_author(by=leaf(more=odd)),
        "algorithm that is not accepted": by_author(digest="sha1"),
        "timestamp is that of another": by_author(stamp=Stamp(imprint=bytes(32))),
        "timestamp uses a hash": by_author(stamp=Stamp(digest="sha1")),
        "timestamp is not only for": by_author(stamp=Stamp(by=both)),
        "timestamp is not only for timestamps": by_author(stamp=Stamp(by=party("Lax", root, purposes=(TIME,)))),
        "kind of signature": by_author(stamp=Stamp(by=leaf(name="Leaf of CA"))),
        "does not name the repository": by_repository(url=None),
        "an unsigned attribute": by_author(unsigned=(("1.2.3.4", NULL),)),
    }
    for why, made in wrong.items():
        with pytest.raises(InvalidPackage, match=why):
            verified(made)

    posing = by_author(by=dataclasses.replace(signing.author(), above=(signing.authority(), impostor)))
    with pytest.raises(InvalidPackage, match="without a valid issuer: Common Name: Issuing CA"):
        verify_signature(signing.p7s(DIGEST, posing), SignatureTrust(), NOW)
    with pytest.raises(InvalidPackage, match="without a valid issuer: Common Name: Nobody"):
        verify_signature(signing.p7s(DIGEST, by_author(), more=[party("Nobody", stranger).der]), trust(), NOW)


@pytest.mark.parametrize(
    ("counter", "why"),
    [
        (lambda: by_author(), "not a repository's"),
        (
            lambda: by_repository(by=dataclasses.replace(signing.repository(), key=signing.key("Forger"))),
            "not made with",
        ),
        (lambda: by_repository(stamp=Stamp(imprint=bytes(32))), "that of another signature"),
        (lambda: by_repository(stamp=None), "not valid when it signed"),
        (lambda: by_repository(url=None), "does not name the repository"),
        (lambda: by_repository(unsigned=(("1.2.3.4", NULL),)), "an unsigned attribute"),
    ],
)
def test_countersignatures_that_are_not_valid(counter, why):
    """
    A valid author signature does not help.
    """
    with pytest.raises(InvalidPackage, match=why):
        verified(by_author(), counter())


def test_a_countersignature_of_another_signature():
    moved = signing.signer_info(signing.signature_of(b"other", by_author()), by_repository())

    with pytest.raises(InvalidPackage, match="over other content"):
        verified(by_author(unsigned=((signing.COUNTERSIGNATURE, moved),)))


def test_content_that_was_changed():
    package = bytearray(signing.signed(PACKAGE, by_repository()))
    package[40] ^= 1

    with pytest.raises(InvalidPackage, match="does not match its signature"):
        verify_package(io.BytesIO(package), trust(), NOW)


def test_a_signature_without_a_chain_is_not_valid():
    """
    It states the right hash, but nobody issued its certificate for this.
    """
    with pytest.raises(InvalidPackage):
        verify_package(io.BytesIO(sign(PACKAGE, "repository")), trust(), NOW)


# --- hostile input --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_changed_byte_of_a_signature_is_detected():
    whole = signing.p7s(DIGEST, by_author(), by_repository())
    chance = random.Random(5)
    known = trust()
    for position in chance.sample(range(len(whole)), 400):
        changed = bytearray(whole)
        changed[position] ^= chance.randrange(1, 256)
        with pytest.raises(InvalidPackage):
            verify_signature(bytes(changed), known, SIGNED_AT.timestamp())


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x30\x80" * 50_000,
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x31" * 100_000,
        bytes(200_000),
    ],
)
def test_hostile_encodings(hostile):
    with pytest.raises(InvalidPackage):
        verify_signature(hostile, trust(), NOW)


def test_nothing_is_encoded_again(monkeypatch):
    """
    asn1crypto does so in exponential time, for lengths that an attacker chooses.
    """
    whole, known = signing.p7s(DIGEST, by_author(), by_repository()), trust()

    def refuse(value, force=False):
        raise AssertionError(f"{type(value).__name__} was encoded again")

    for kind in (core.Asn1Value, core.Sequence, core.SequenceOf, core.Choice):
        monkeypatch.setattr(kind, "dump", refuse)

    assert read_signature(whole).signer_fingerprint == signing.author().fingerprint
    assert verify_signature(whole, known, NOW).owners == ("contoso",)


def test_many_certificates_and_attributes_are_refused():
    """
    Each would cost work before anything can be known about the signer.
    """
    many = [party(f"Many {number}", signing.root(), bits=1024).der for number in range(MOST_CERTIFICATES)]
    with pytest.raises(InvalidPackage, match="the limit is 32"):
        verify_signature(signing.p7s(DIGEST, by_author(), more=many), trust(), NOW)

    attributes = tuple((f"1.2.3.{number}", NULL) for number in range(40))
    with pytest.raises(InvalidPackage, match="attributes; the limit is 32"):
        verified(by_author(unsigned=attributes))
    with pytest.raises(InvalidPackage, match="40 values of an attribute"):
        verified(by_author(unsigned=((signing.COUNTERSIGNATURE, NULL * 40),)))
    with pytest.raises(InvalidPackage, match="bytes; up to 262144 are verified"):
        verify_signature(bytes(LARGEST_VERIFIED + 1), trust(), NOW)
    with pytest.raises(InvalidPackage, match="owners; the limit is"):
        verified(by_repository(owners=["a"] * (MOST_OWNERS + 1)))


def test_names_in_certificates_fit_into_a_message():
    """
    They become part of a status line, and anyone can make a certificate.
    """
    other = party("x\r\nSet-Cookie: y" + "z" * 40, signing.root("Other Root"), purposes=(CODE,), valid=(FROM, TO))

    found = verified(by_author(by=other))

    assert found.author is not None
    assert "x??Set-Cookie" in found.author.subject
    assert found.author.distrust.isprintable()


def test_files_of_roots():
    roots = read_roots(signing.root().pem + signing.root("Time Root").pem)
    assert roots.fingerprints == {signing.root().fingerprint, signing.root("Time Root").fingerprint}
    for wrong in (b"", b"nonsense", signing.root().pem[:200]):
        with pytest.raises(ValueError, match="it "):
            read_roots(wrong)


# --- real packages --------------------------------------------------------------------------------------------------


def published() -> SignatureTrust:
    """The fingerprints that nuget.org publishes."""
    listed = json.loads((shared() / "nuget-org" / "signing-certificates.json").read_bytes())
    return SignatureTrust(frozenset(next(iter(each["fingerprints"].values())) for each in listed))


def test_all_real_packages_verify():
    kinds = set()
    for path in real_packages():
        with path.open("rb") as file:
            found = verify_package(file, published(), time.time())
        assert found is not None
        assert found.repository is not None
        assert found.repository.is_trusted, path.name
        assert found.repository_url == SERVICE_INDEX_URL
        assert found.owners
        kinds.add(found.author is not None)

    assert kinds == {True, False}


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_changed_signatures_of_real_packages_never_verify():
    """
    A byte anywhere: text, signatures, certificates, timestamps, structure.
    """
    chance = random.Random(17)
    known = published()
    signatures = []
    for path in chance.sample(real_packages(), 50):
        with path.open("rb") as file:
            signatures.append(read_intact_signature(file))
    for _ in range(1000):
        changed = bytearray(chance.choice(signatures) or b"")
        changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
        with pytest.raises(InvalidPackage):
            verify_signature(bytes(changed), known, time.time())
