"""ZIP64 in mirrored packages: over 4 GB, more entries than the old field can count, or tools that always use it."""

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import ArchiveLimits, Nupkg
from nugetproxy.nuget.signature import check_content, content_hash
from tests.builders import make_nuspec, sign
from tests.nuget.archives import DLL, LARGE, NUSPEC, End, Written, extra, write

EVERYTHING = End(large=True, count=0xFFFF, directory_size=LARGE, offset=LARGE)


def numbers(*values: int) -> bytes:
    return extra(1, struct.pack(f"<{len(values)}Q", *values))


def opened(package: bytes) -> Nupkg:
    return Nupkg(io.BytesIO(package))


BEHIND = len(write([NUSPEC])) - len(write([])) - 46 - len(NUSPEC.name)
"""The offset of the second entry."""

READ = {
    "no need": write([NUSPEC, DLL], End(large=True)),
    "the position of the directory": write([NUSPEC, DLL], End(large=True, offset=LARGE)),
    "the number of entries": write([NUSPEC, DLL], End(large=True, count=0xFFFF)),
    "everything": write([NUSPEC, DLL], EVERYTHING),
    "the size of an entry": write([NUSPEC, replace(DLL, size=LARGE, extra=numbers(len(DLL.content)))], EVERYTHING),
    "the position of an entry": write([NUSPEC, replace(DLL, offset=LARGE, extra=numbers(BEHIND))]),
    "all of an entry": write(
        [
            NUSPEC,
            replace(
                DLL,
                size=LARGE,
                packed_size=LARGE,
                offset=LARGE,
                extra=extra(0x5455, b"\1") + numbers(len(DLL.content), len(DLL.bytes_packed), BEHIND, 0),
            ),
        ],
        EVERYTHING,
    ),
}


@pytest.mark.parametrize("package", READ.values(), ids=READ)
def test_values_in_the_extra_field_are_read(package):
    nupkg = opened(package)

    assert str(nupkg.manifest.identity) == "Contoso.Utils 1.0.0"
    assert nupkg.read("lib/net8.0/a.dll", 1000) == DLL.content
    assert content_hash(io.BytesIO(package)) == check_content(io.BytesIO(package)).content_hash


def test_an_archive_of_another_writer_is_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a.nuspec", "w", force_zip64=True) as entry:
        entry.write(make_nuspec("A"))

    assert Nupkg(file).manifest.id.text == "A"


def test_an_archive_of_more_than_4_gb(tmp_path: Path):
    """
    The file is sparse: only its beginning and end are read.
    """
    hole = 4 * 2**30 + 5
    package = write([replace(NUSPEC, offset=LARGE, extra=numbers(hole))], EVERYTHING)
    position = package.index(b"PK\6\6")
    directory_offset = package.index(b"PK\1\2")
    moved = struct.pack("<Q", directory_offset + hole)
    package = package[: position + 48] + moved + package[position + 56 :]
    package = package.replace(
        struct.pack("<4sLQL", b"PK\6\7", 0, position, 1), struct.pack("<4sLQL", b"PK\6\7", 0, position + hole, 1)
    )
    path = tmp_path / "large.nupkg"
    with path.open("wb") as file:
        file.seek(hole)
        file.write(package)

    with path.open("rb") as file:
        assert str(Nupkg(file).identity) == "Contoso.Utils 1.0.0"
    assert path.stat().st_blocks < 100


def test_as_many_entries_as_the_old_field_can_count():
    """
    0xFFFF without ZIP64 records is a literal number.
    """
    entries = [NUSPEC, *(Written(b"%d" % number, method=0) for number in range(65_534))]

    assert len(opened(write(entries)).entries) == 65_535


def test_more_entries_than_the_old_field_can_count():
    entries = [NUSPEC, *(Written(b"%d" % number, method=0) for number in range(66_000))]
    package = write(entries, End(large=True, count=0xFFFF))

    assert len(opened(package).entries) == 66_001
    with pytest.raises(InvalidPackage, match="it has 66001 entries; the limit is 66000"):
        Nupkg(io.BytesIO(package), ArchiveLimits(max_entries=66_000))


LIES = {
    "no record where the locator says": (replace(EVERYTHING, locator_offset=3), "not where its locator says"),
    "a locator that points too far": (replace(EVERYTHING, locator_offset=2**63), "does not lie inside the file"),
    "no locator": (End(offset=LARGE), "directory does not lie inside the file"),
}


@pytest.mark.parametrize(("end", "why"), LIES.values(), ids=LIES)
def test_ends_that_lie_are_refused(end, why):
    with pytest.raises(InvalidPackage, match=why):
        opened(write([NUSPEC], end))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        (16, struct.pack("<L", 1), "split over several archives"),
        (20, struct.pack("<L", 1), "split over several archives"),
        (24, struct.pack("<Q", 3), "split over several archives"),
        (32, struct.pack("<Q", 0), "split over several archives"),
        (40, struct.pack("<Q", 2**64 - 1), "directory does not lie inside the file"),
        (48, struct.pack("<Q", 2**64 - 1), "directory does not lie inside the file"),
        (40, struct.pack("<Q", 1), "fewer entries than its end record states|directory is cut off"),
    ],
)
def test_false_zip64_end_records_are_refused(field, value, why):
    package = write([NUSPEC, DLL], EVERYTHING)
    at = package.index(b"PK\6\6") + field

    with pytest.raises(InvalidPackage, match=why):
        opened(package[:at] + value + package[at + len(value) :])


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"size": LARGE, "extra": numbers()}, "ZIP64 extra field that is too short"),
        ({"size": LARGE, "packed_size": LARGE, "extra": numbers(1)}, "too short"),
        ({"offset": LARGE, "extra": numbers(2**64 - 1)}, "does not lie inside the file"),
        ({"size": LARGE, "extra": b"\1\0\xff\xff"}, "damaged extra field"),
    ],
)
def test_false_entries_are_refused(lies, why):
    with pytest.raises(InvalidPackage, match=why):
        opened(write([NUSPEC, replace(DLL, **lies)]))


def test_sizes_that_are_absurd_cost_nothing():
    package = write([replace(NUSPEC, size=LARGE, packed_size=LARGE, extra=numbers(2**64 - 1, 2**64 - 1))])

    with pytest.raises(InvalidPackage, match="is damaged"):
        _ = opened(package).nuspec
    assert str(opened(package).identity) == "Contoso.Utils 1.0.0"


def test_signed_packages_may_not_be_zip64():
    """
    Their content hash uses the old fields.
    """
    package = sign(write([NUSPEC, DLL]))
    end = struct.unpack("<4s4H2LH", package[-22:])
    count, size, offset = end[4:7]
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, len(package) - 22, 1)
    package = package[:-22] + large + package[-22:-6] + b"\xff\xff\xff\xff" + package[-2:]

    assert str(opened(package).identity) == "Contoso.Utils 1.0.0"
    with pytest.raises(InvalidPackage, match="it is signed and uses ZIP64, which signed packages must not"):
        check_content(io.BytesIO(package))
