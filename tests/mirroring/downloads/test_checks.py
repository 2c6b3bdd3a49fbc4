import base64
import hashlib
import io
from dataclasses import replace

import pytest

from nugetproxy.mirroring.downloads.checks import ContentRejectedError, Received, Stated, check_content
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.signature import content_hash
from tests.builders import make_nupkg, make_nuspec, make_zip
from tests.nuget.archives import DLL, LARGE, NUSPEC, End, write
from tests.shared import shared

IDENTITY = PackageIdentity.parse("Contoso.Utils", "1.0.0")
UNSIGNED = make_nupkg(payload=b"x" * 1000)
SIGNED = make_nupkg(payload=b"x" * 1000, signed=True)
SHA512 = base64.b64encode(hashlib.sha512(UNSIGNED).digest()).decode()
MD5 = hashlib.md5(UNSIGNED).digest()


def received(body: bytes) -> Received:
    return Received(io.BytesIO(body), len(body), hashlib.sha512(body).digest(), hashlib.md5(body).digest())


def refused(body: bytes, stated: Stated | None = None, identity: PackageIdentity = IDENTITY) -> str:
    with pytest.raises(ContentRejectedError) as rejected:
        check_content(received(body), stated or Stated(), identity)
    return rejected.value.check


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize(
    "stated",
    [
        Stated(),
        Stated(total=len(UNSIGNED)),
        Stated(sha512=SHA512, md5=MD5),
        Stated(sha512="not a hash"),
        Stated(sha512=base64.b64encode(b"too short").decode()),
    ],
    ids=["nothing", "length", "hashes", "mangled", "too short"],
)
def test_a_package_that_is_what_was_stated_is_accepted(stated: Stated):
    """
    A malformed hash proves nothing about the bytes.
    """
    accepted = check_content(received(UNSIGNED), stated, IDENTITY)

    assert accepted.manifest.identity == IDENTITY
    assert accepted.nuspec is not None
    assert b"<id>Contoso.Utils</id>" in accepted.nuspec
    assert accepted.content_hash == SHA512


def test_a_signed_package_is_accepted_with_its_lock_file_hash():
    accepted = check_content(received(SIGNED), Stated(), IDENTITY)

    assert accepted.content_hash == content_hash(io.BytesIO(SIGNED))


@pytest.mark.parametrize(
    ("check", "body", "stated"),
    [
        ("length", UNSIGNED, Stated(total=len(UNSIGNED) + 1)),
        ("hash", flipped(UNSIGNED, 500), Stated(sha512=SHA512)),
        ("hash", flipped(UNSIGNED, 500), Stated(md5=MD5)),
        ("archive", UNSIGNED[:-10], Stated()),
        ("archive", b"<html>Welcome to our hotel</html>", Stated()),
        ("archive", b"", Stated()),
        ("archive", make_zip({"readme.txt": b"no nuspec"}), Stated()),
        ("signature", flipped(SIGNED, SIGNED.index(b"x" * 100)), Stated()),
    ],
)
def test_other_bytes_are_refused(check: str, body: bytes, stated: Stated):
    assert refused(body, stated) == check


@pytest.mark.parametrize(("package_id", "version"), [("Contoso.Other", "1.0.0"), ("Contoso.Utils", "1.0.1")])
def test_another_package_is_refused(package_id: str, version: str):
    assert refused(make_nupkg(package_id, version)) == "identity"


@pytest.mark.parametrize(("package_id", "version"), [("contoso.UTILS", "1.0.0"), ("Contoso.Utils", "1.0.0.0+build")])
def test_the_same_identity_written_otherwise_is_accepted(package_id: str, version: str):
    body = make_nupkg(nuspec=make_nuspec(package_id, version))

    assert check_content(received(body), Stated(), IDENTITY).manifest.identity == IDENTITY


HUGE_NUSPEC = make_nuspec(more="<!-- x -->" * 1_800_000)
BEHIND_MUCH = make_nuspec().replace(b"<metadata>", b"<metadata>" + b"<x><y/></x>" * 20_000)


@pytest.mark.parametrize(
    ("package", "has_nuspec"),
    [
        (write([NUSPEC, DLL], End(large=True, count=0xFFFF, directory_size=LARGE, offset=LARGE)), True),
        (write([NUSPEC, DLL], End(large=True)), True),
        (write([NUSPEC, replace(DLL, before=b"a gap")], End(comment=b"PK\1\2")), True),
        (make_nupkg(nuspec=make_nuspec(more="<group/>" * 600_000)), True),
        (make_nupkg(nuspec=HUGE_NUSPEC), False),
    ],
    ids=["ZIP64", "ZIP64 for nothing", "gaps and comments", "a nuspec over 4 MB", "a nuspec over 16 MB"],
)
def test_how_a_package_is_made_is_not_ours_to_judge(package: bytes, has_nuspec: bool):
    accepted = check_content(received(package), Stated(total=len(package)), IDENTITY)

    assert accepted.manifest.identity == IDENTITY
    assert (accepted.nuspec is not None) == has_nuspec


def test_another_package_with_a_huge_nuspec_is_refused():
    assert len(HUGE_NUSPEC) > 16 * 2**20
    assert (
        refused(make_nupkg(nuspec=HUGE_NUSPEC), identity=PackageIdentity.parse("Contoso.Other", "1.0.0")) == "identity"
    )


def test_a_package_whose_identity_is_not_found_within_the_bounds_is_refused():
    assert refused(make_nupkg(nuspec=BEHIND_MUCH)) == "archive"


# --- real packages ---


def real_packages() -> list[tuple[PackageIdentity, bytes]]:
    found = sorted((shared() / "nuget-org" / "packages").glob("*/*/*.nupkg"))[::12]
    return [(PackageIdentity.parse(path.parts[-3], path.parts[-2]), path.read_bytes()) for path in found]


def test_real_packages_are_accepted():
    for identity, body in real_packages():
        assert check_content(received(body), Stated(total=len(body)), identity).manifest.identity == identity


def test_a_flipped_byte_of_a_real_package_is_refused():
    """
    Only the package itself shows it: its signature covers every byte.
    """
    packages = real_packages()
    assert packages
    for identity, body in packages:
        assert refused(flipped(body, len(body) // 2), identity=identity) in ("signature", "archive")
