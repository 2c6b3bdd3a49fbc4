import base64
import hashlib
import io
import random
import struct
from pathlib import Path

import orjson
import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.lock_files import read_wanted
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.signature import (
    SignatureKind,
    check_content,
    check_signed_content,
    content_hash,
    read_package_signature,
    read_signature,
)
from tests.builders import (
    SERVICE_INDEX_URL,
    SIGNATURE_NAME,
    certificate_fingerprint,
    insert_stored,
    make_nupkg,
    make_signature,
    sign,
)
from tests.shared import shared

UNSIGNED = make_nupkg(readme="# Hello", payload=random.Random(1).randbytes(3_000))
SHA512_OF_UNSIGNED = base64.b64encode(hashlib.sha512(UNSIGNED).digest()).decode()
POSITIONS = [None, 0, 1, 2]


def real_packages() -> list[Path]:
    return sorted((shared() / "nuget-org" / "packages").rglob("*.nupkg"))


def undetected(package: bytes, positions: list[int]) -> list[int]:
    """The positions where a flipped byte still passes as intact and signed; each byte is flipped differently."""
    chance = random.Random(7)
    passed = []
    for position in positions:
        damaged = bytearray(package)
        damaged[position] ^= chance.randrange(1, 256)
        try:
            check_signed_content(io.BytesIO(damaged))
        except InvalidPackage:
            continue
        passed.append(position)
    return passed


# --- the content hash -----------------------------------------------------------------------------------------------


def test_unsigned_content_is_the_whole_file():
    assert content_hash(io.BytesIO(UNSIGNED)) == SHA512_OF_UNSIGNED


@pytest.mark.parametrize("after", POSITIONS)
@pytest.mark.parametrize("signer", ["author", "repository"])
def test_signing_does_not_change_the_content_hash(signer, after):
    """
    The hash is that of the unsigned file, wherever in the archive the signature is.
    """
    signed = sign(UNSIGNED, signer, after=after)

    assert content_hash(io.BytesIO(signed)) == SHA512_OF_UNSIGNED


def test_a_comment_is_part_of_the_content():
    commented = UNSIGNED[:-2] + struct.pack("<H", 5) + b"hello"

    assert content_hash(io.BytesIO(commented)) == base64.b64encode(hashlib.sha512(commented).digest()).decode()


def test_content_is_hashed_in_blocks():
    """
    Several blocks, the last one short, give the same hash as the whole.
    """
    package = make_nupkg(payload=random.Random(2).randbytes(2 * 1024 * 1024 + 17))

    assert content_hash(io.BytesIO(sign(package))) == base64.b64encode(hashlib.sha512(package).digest()).decode()


# --- the check ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("after", POSITIONS)
def test_an_intact_signed_package(algorithm, after):
    checked = check_content(io.BytesIO(sign(UNSIGNED, algorithm=algorithm, after=after)))

    assert checked.is_signed
    assert checked.content_hash == SHA512_OF_UNSIGNED


def test_an_unsigned_package():
    assert not check_signed_content(io.BytesIO(UNSIGNED))
    assert check_content(io.BytesIO(UNSIGNED)).content_hash == SHA512_OF_UNSIGNED
    assert read_package_signature(io.BytesIO(UNSIGNED)) is None


@pytest.mark.parametrize("after", POSITIONS)
def test_a_flipped_byte_anywhere_is_detected(after):
    """
    Every byte in content, headers, directory, end record and the signature itself.
    """
    package = sign(make_nupkg("A", payload=b"some content"), after=after)

    assert undetected(package, list(range(len(package)))) == []


def test_bytes_after_the_end_are_detected():
    with pytest.raises(InvalidPackage, match="belong to no entry"):
        check_signed_content(io.BytesIO(sign(UNSIGNED) + b"\0"))


def test_a_signature_of_another_package():
    other = make_signature(hashlib.sha256(b"other").digest())

    with pytest.raises(InvalidPackage, match="does not match its signature"):
        check_signed_content(io.BytesIO(insert_stored(UNSIGNED, SIGNATURE_NAME, other)))


def test_two_signatures():
    with pytest.raises(InvalidPackage, match="more than one signature"):
        check_signed_content(io.BytesIO(sign(sign(UNSIGNED))))


def test_a_signature_in_a_folder_is_a_file_like_any_other():
    package = insert_stored(UNSIGNED, f"content/{SIGNATURE_NAME}", b"x")

    assert not check_signed_content(io.BytesIO(package))


def test_a_signature_made_on_unix():
    """
    On other systems than Windows the record says so and has file permissions.
    """
    package = bytearray(sign(UNSIGNED))
    record = package.rindex(SIGNATURE_NAME.encode()) - 46
    package[record + 5] = 3
    package[record + 38 : record + 42] = struct.pack("<L", 0o100644 << 16)

    assert check_signed_content(io.BytesIO(package))


# --- what the signature says ----------------------------------------------------------------------------------------


def test_a_repository_signature():
    signature = read_package_signature(io.BytesIO(sign(UNSIGNED, owners=("contoso", "ann"))))

    assert signature is not None
    assert signature.kind is SignatureKind.REPOSITORY
    assert signature.is_repository_signed
    assert signature.hash_algorithm == "sha256"
    assert signature.content_hash == base64.b64encode(hashlib.sha256(UNSIGNED).digest()).decode()
    assert signature.repository_url == SERVICE_INDEX_URL
    assert signature.owners == ("contoso", "ann")
    assert signature.signer_fingerprint == signature.repository_fingerprint == certificate_fingerprint("repository")


def test_an_author_signature():
    signature = read_signature(make_signature(bytes(32), signer="author"))

    assert signature.kind is SignatureKind.AUTHOR
    assert not signature.is_repository_signed
    assert (signature.repository_url, signature.owners, signature.repository_fingerprint) == (None, (), None)
    assert signature.certificate_fingerprints == (certificate_fingerprint("author"),)


def test_an_author_signature_with_a_repository_countersignature():
    signature = read_signature(make_signature(bytes(32), signer="author", countersigned=True, owners=("ann",)))

    assert signature.kind is SignatureKind.AUTHOR
    assert signature.is_repository_signed
    assert signature.signer_fingerprint == certificate_fingerprint("author")
    assert signature.repository_fingerprint == certificate_fingerprint("repository")
    assert (signature.repository_url, signature.owners) == (SERVICE_INDEX_URL, ("ann",))


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not state a content hash"),
        (b"Version:2\n\n2.16.840.1.101.3.4.2.1-Hash:" + HASH.encode() + b"\n\n", "does not state a content hash"),
        (b"Version:1\n\n1.3.14.3.2.26-Hash:" + HASH.encode() + b"\n\n", "unknown hash algorithm"),
        (b"Version:1\n\n2.16.840.1.101.3.4.2.1-Hash:abc\n\n", "not base64"),
        (b"Version:1\n\n2.16.840.1.101.3.4.2.3-Hash:" + HASH.encode() + b"\n\n", "not a sha512"),
        (b"\xff\xfe", "not readable"),
    ],
)
def test_odd_promises(content, why):
    with pytest.raises(InvalidPackage, match=why):
        read_signature(make_signature(b"", content=content))


@pytest.mark.parametrize("p7s", [b"", b"x", b"\x30\x80", bytes(100), make_signature(bytes(32))[:-1]])
def test_a_file_that_is_not_a_signature(p7s):
    with pytest.raises(InvalidPackage):
        read_signature(p7s)


# --- real packages --------------------------------------------------------------------------------------------------


def test_all_real_packages_are_intact():
    """
    The signed content hash is computed as by nuget.org: all its packages pass, author and repository signed.
    """
    certificates = {path.stem for path in (shared() / "nuget-org" / "certificates").glob("*.crt")}
    kinds = set()
    for path in real_packages():
        with path.open("rb") as file:
            assert check_signed_content(file), path.name
            signature = read_package_signature(file)
        assert signature is not None
        assert signature.repository_url == SERVICE_INDEX_URL
        assert signature.repository_fingerprint in certificates
        kinds.add(signature.kind)

    assert kinds == {SignatureKind.AUTHOR, SignatureKind.REPOSITORY}


def test_content_hashes_match_real_lock_files():
    """
    The hashes in two lock files of the official client equal ours for the same packages.
    """
    kit = shared() / "nuget-org"
    compared = 0
    for lock_file in sorted(kit.glob("graphs/*/packages.lock.json")):
        for wanted in read_wanted(lock_file.name, lock_file.read_bytes()):
            package = wanted.identity
            path = kit / "packages" / package.lower_id / package.lower_version / package.nupkg_name
            with path.open("rb") as file:
                assert content_hash(file) == wanted.content_hash, str(package)
            compared += 1

    assert compared > 150


def test_a_flipped_byte_in_real_packages_is_detected():
    """
    Everywhere in the structure, and in many places of the content.
    """
    chance = random.Random(3)
    small = [path for path in real_packages() if path.stat().st_size < 60_000]
    for path in chance.sample(small, 3):
        package = path.read_bytes()
        end = len(package) - 22
        directory = struct.unpack("<L", package[end + 16 : end + 20])[0]
        signature = package.index(SIGNATURE_NAME.encode()) - 30
        edges = [*range(signature, signature + 60), *range(directory, len(package))]
        positions = chance.sample(edges, 250) + chance.sample(range(len(package)), 250)

        assert undetected(package, positions) == [], path.name


def test_real_manifests():
    """
    Nuspecs of all kinds of real packages are read; their id and version match their file names.
    """
    for path in real_packages():
        with path.open("rb") as file:
            manifest = Nupkg(file).manifest
        assert manifest.identity.nupkg_name == path.name
        assert manifest.authors
        assert orjson.loads(orjson.dumps(manifest.as_dict()))
