import io
import random
import struct
import zipfile

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import ArchiveLimits, Nupkg
from tests.builders import insert_stored, make_nupkg, make_nuspec, make_zip

DEFAULT_LIMITS = ArchiveLimits()


class Counting(io.BytesIO):
    """Counts the bytes read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.count += len(content)
        return content


def opened(package: bytes, limits: ArchiveLimits = DEFAULT_LIMITS) -> Nupkg:
    return Nupkg(io.BytesIO(package), limits)


def patched(package: bytes, position: int, replacement: bytes) -> bytes:
    return package[:position] + replacement + package[position + len(replacement) :]


def record_of(package: bytes, name: str) -> int:
    """The offset of the directory record of an entry, which is the last occurrence of its name."""
    return package.rindex(name.encode()) - 46


def test_the_manifest():
    package = opened(make_nupkg("Contoso.Utils", "1.2", dependencies=[("A", "1.0")]))

    assert str(package.manifest.identity) == "Contoso.Utils 1.2.0"
    assert package.nuspec.startswith(b"<?xml")


def test_parts():
    package = opened(make_nupkg(readme="# Hello", icon=b"\x89PNG", license="MIT"))

    assert package.part("readme") == ("README.md", b"# Hello")
    assert package.part("icon") == ("images/icon.png", b"\x89PNG")
    assert package.part("license") == ("LICENSE.txt", b"MIT")


def test_parts_that_are_not_named():
    package = opened(make_nupkg(files={"README.md": b"not named in the manifest"}))

    assert [package.part("readme"), package.part("icon"), package.part("license")] == [None, None, None]


def test_a_part_that_is_named_but_missing():
    assert opened(make_nupkg(nuspec=make_nuspec(readme="README.md"))).part("readme") is None


@pytest.mark.parametrize(
    "name",
    [
        "docs/My File.md",
        "docs\\My File.md",
        "DOCS/my file.MD",
        "docs/My%20File.md",
        "/docs/My File.md",
        "./docs/My File.md",
    ],
)
@pytest.mark.parametrize("stored_as", ["docs/My File.md", "docs\\My File.md", "Docs/My%20File.md"])
def test_find(name, stored_as):
    package = opened(make_nupkg(files={stored_as: b"here"}))

    assert package.find(name) == zipfile.ZipInfo(stored_as).filename
    assert package.read(name, 100) == b"here"


def test_find_nothing():
    package = opened(make_nupkg())

    assert package.find("absent") is None
    with pytest.raises(InvalidPackage, match="no entry"):
        package.read("absent", 100)


def test_names_that_would_be_unsafe_on_a_disk_are_only_names():
    package = opened(make_nupkg(files={"../../etc/passwd": b"x", "/abs": b"y"}))

    assert package.read("../../etc/passwd", 10) == b"x"
    assert len(package.entries) == 3


def test_a_large_package_is_not_read_whole():
    """
    Of 20 MB only the end, the directory and the nuspec are read.
    """

    file = Counting(make_nupkg(payload=random.Random(1).randbytes(20_000_000)))

    assert Nupkg(file).manifest.id.text == "Contoso.Utils"
    assert file.count < 70_000


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"readme.md": b"no nuspec"},
        {"sub/A.nuspec": make_nuspec("A")},
        {"sub\\A.nuspec": make_nuspec("A")},
        {"A.nuspec": make_nuspec("A"), "B.NUSPEC": make_nuspec("B")},
        {"A.nuspec": make_nuspec("A"), "B%2Enuspec": make_nuspec("B")},
        {"sub%2FA.nuspec": make_nuspec("A")},
    ],
)
def test_exactly_one_nuspec_in_the_root(entries):
    package = make_zip({})
    for name, content in entries.items():
        package = insert_stored(package, name, content)

    with pytest.raises(InvalidPackage, match="nuspec files in its root"):
        opened(package)


def test_the_same_nuspec_twice():
    with pytest.raises(InvalidPackage, match="2 nuspec"):
        opened(insert_stored(make_nupkg("A"), "A.nuspec", make_nuspec("B")))


def test_a_nuspec_beside_one_in_a_folder():
    package = make_nupkg("A", files={"content/B.nuspec": make_nuspec("B")})

    assert opened(package).manifest.id.text == "A"


@pytest.mark.parametrize("content", [b"", b"x", b"<html>captive portal</html>", b"PK\3\4" + bytes(100), bytes(70_000)])
def test_a_file_that_is_not_an_archive(content):
    with pytest.raises(InvalidPackage, match="not a ZIP archive"):
        opened(content)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_package(kept):
    package = make_nupkg(payload=bytes(5_000))

    with pytest.raises(InvalidPackage):
        opened(package[: int(len(package) * kept)])


def test_too_many_entries():
    package = make_nupkg(files={f"lib/{n}": b"" for n in range(10)})

    assert len(opened(package, ArchiveLimits(max_entries=11)).entries) == 11
    with pytest.raises(InvalidPackage, match="it has 11 entries"):
        opened(package, ArchiveLimits(max_entries=10))


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_an_end_record_that_lies_about_the_count(count):
    package = make_nupkg(files={"lib/_._": b""})
    package = patched(package, len(package) - 14, struct.pack("<2H", count, count))

    with pytest.raises(InvalidPackage, match="directory"):
        opened(package)


def test_a_directory_larger_than_the_limit():
    with pytest.raises(InvalidPackage, match="directory is larger"):
        opened(make_nupkg(), ArchiveLimits(max_directory_size=40))


def test_several_disks():
    package = make_nupkg()

    with pytest.raises(InvalidPackage, match="several archives"):
        opened(patched(package, len(package) - 18, b"\1\0"))


def test_a_comment_behind_the_end():
    package = make_nupkg("A")
    package = package[:-2] + struct.pack("<H", 5) + b"hello"

    assert opened(package).manifest.id.text == "A"


def test_a_bomb_stops_at_the_limit():
    """
    Reading a nuspec that unpacks to 100 MB stops at the limit, whatever size the directory states.
    """
    package = make_nupkg("A", nuspec=b" " * 100_000_000)
    lying = patched(package, record_of(package, "A.nuspec") + 24, struct.pack("<L", 100))

    assert len(package) < 200_000
    for bomb in (package, lying):
        with pytest.raises(InvalidPackage, match="larger than the limit"):
            _ = opened(bomb).nuspec
        with pytest.raises(InvalidPackage):
            _ = opened(bomb).manifest


def test_a_part_over_its_limit():
    package = opened(make_nupkg(icon=bytes(1001)), ArchiveLimits(max_part_size=1000))

    with pytest.raises(InvalidPackage, match="larger than the limit of 1000 bytes"):
        package.part("icon")


@pytest.mark.parametrize(
    ("offset", "replacement", "why"),
    [
        (8, b"\1\0", "is encrypted"),
        (10, b"\x09\0", "method 9"),
        (10, b"\x0e\0", "method 14"),
        (16, b"\0\0\0\0", "is damaged"),
        (24, b"\1\0\0\0", "is damaged"),
        (42, b"\1\0\0\0", "is not where"),
        (42, b"\xff\xff\xff\x7f", "is not where"),
    ],
)
def test_odd_entries(offset, replacement, why):
    package = make_nupkg("A", payload=b"x")
    package = patched(package, record_of(package, "A.nuspec") + offset, replacement)

    with pytest.raises(InvalidPackage, match=why):
        _ = opened(package).nuspec


def test_an_entry_whose_deflate_stream_is_damaged():
    package = make_nupkg("A")
    start = 30 + len("A.nuspec")

    with pytest.raises(InvalidPackage, match="is damaged"):
        _ = opened(patched(package, start, b"\xff\xff\xff\xff")).nuspec


def test_a_stored_nuspec():
    package = insert_stored(make_zip({}), "A.nuspec", make_nuspec("A"))

    assert opened(package).manifest.id.text == "A"


def test_names_in_the_code_page_of_old_tools():
    package = make_zip({"A.nuspec": make_nuspec("A"), "docs/aXb.txt": b"x"}).replace(b"aXb", b"a\x81b")

    assert opened(package).find("docs/aüb.txt") == "docs/aüb.txt"


def test_a_name_that_claims_utf8_and_is_not():
    package = make_zip({"A.nuspec": make_nuspec("A"), "aéb.txt": b"x"}).replace("é".encode(), b"\xff\xff")

    with pytest.raises(InvalidPackage, match="not UTF-8"):
        opened(package)


@pytest.mark.parametrize("filler", [0, 100, 200_000])
def test_the_identity_is_known_before_the_rest_is_read(filler):
    """
    Only the beginning of a large nuspec is inflated, or all of it when id and version come late.
    """
    nuspec = make_nuspec("A", "1.0", more=f"<x>{random.Random(1).randbytes(400_000).hex()}</x>")
    nuspec = nuspec.replace(b"<id>", b"<!--" + b"x" * filler + b"--><id>")
    file = Counting(make_nupkg("A", nuspec=nuspec))
    package = Nupkg(file)
    before = file.count

    assert str(package.identity) == "A 1.0.0"
    assert (file.count - before < 150_000) == (filler < 64 * 1024)


def test_the_identity_of_a_nuspec_that_names_none():
    with pytest.raises(InvalidPackage, match="no valid id and version"):
        _ = opened(make_nupkg("A", nuspec=make_nuspec("A", ""))).identity
