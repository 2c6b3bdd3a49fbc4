"""Archives refused on push: some of their bytes are unaccounted for, or readers would find different files."""

import io
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest
from hypothesis import given

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.push_rules import PushLimits, check_push
from nugetproxy.nuget.symbols_package import SymbolsLimits, SymbolsPackage
from tests.builders import make_nupkg, make_nuspec, sign
from tests.nuget.archives import DLL, LARGE, NUSPEC, End, Written, deflated, extra, followed, write
from tests.nuget.test_hostile_input import BOUNDED, EDITS, Edit, edited
from tests.symbol_builders import make_snupkg

NOON = 1_704_196_800.0
"""2024-01-02T12:00:00Z: the builders date their entries to this day."""


def judged(package: bytes) -> None:
    check_push(Nupkg(io.BytesIO(package)), PushLimits(), clock=lambda: NOON)


def dll(**lies: object) -> bytes:
    return write([NUSPEC, replace(DLL, **lies)])  # type: ignore[arg-type]  # as Written takes them


def zip64(*numbers: int) -> bytes:
    return extra(1, struct.pack(f"<{len(numbers)}Q", *numbers))


def unicode_name(name: str) -> bytes:
    return extra(0x7075, b"\1" + struct.pack("<L", zlib.crc32(DLL.name)) + name.encode())


ACCEPTED = {
    "plain": write([NUSPEC, DLL]),
    "stored": dll(method=0),
    "sizes follow": write([followed(NUSPEC), followed(DLL)]),
    "sizes follow without a signature": write([followed(NUSPEC), followed(DLL, signature=b"")]),
    "sizes follow and are there before": write([NUSPEC, replace(followed(DLL), local_sizes=DLL.sizes)]),
    "in another order": write([replace(DLL, comment=b"of an entry"), NUSPEC]),
    "a folder": write([NUSPEC, Written(b"lib/", method=0, attributes=0o40755 << 16 | 16), DLL]),
    "an empty file": write([NUSPEC, Written(b"lib/_._", packed=b"")]),
    "mode bits": dll(attributes=0o100755 << 16),
    "Windows attributes": dll(attributes=0x20),
    "a name flagged as UTF-8": dll(name="lib/ä.dll".encode(), flags=0x800),
    "a UTF-8 name without the flag": dll(name="lib/ä.dll".encode()),
    "times": dll(extra=extra(0x5455, b"\1" + bytes(4)), local_extra=extra(0xA220, bytes(40))),
    "the same name in an extra field": dll(extra=unicode_name("lib/net8.0/a.dll")),
    "compression levels": dll(flags=6, local_flags=2),
    "version 4.5": dll(version=45, local_version=10),
    "a comment": write([NUSPEC, DLL], End(comment=b"made by a tool")),
    "an archive inside": write([NUSPEC, Written(b"tools/a.zip", write([NUSPEC, DLL]), method=0)]),
    "by zipfile": make_nupkg(files={"lib/ä.dll": b"x"}, payload=bytes(70_000)),
    "signed": sign(make_nupkg()),
}


@pytest.mark.parametrize("package", ACCEPTED.values(), ids=ACCEPTED)
def test_honest_archives_are_accepted(package):
    judged(package)


FAKE_END = write([Written(b"a.nuspec", make_nuspec("B"))])[-22:]
STREAM = deflated(DLL.content)

REFUSED = {
    # Extents.
    "beyond the file": (dll(packed_size=3 * 2**20, local_sizes=None), "'lib/net8.0/a.dll' claims 3145728 bytes"),
    "junk after a stream": (dll(packed=STREAM + bytes(50)), "has 50 bytes after its compressed stream"),
    "a stream inside a stream": (dll(packed=STREAM + STREAM), "bytes after its compressed stream"),
    "a stream without end": (dll(packed=STREAM[:-1]), "is damaged"),
    "no end of a stream that is known": (
        dll(packed=b"\0\0\0\xff\xff" + STREAM[:0], content=b""),
        "its compressed stream does not end",
    ),
    "a stream is cut": (dll(packed_size=len(STREAM) - 1), "1 bytes before its directory that belong to nothing"),
    "before the first entry": (write([replace(NUSPEC, before=b"MZ")]), "2 bytes before entry 'Contoso.Utils.nuspec'"),
    "between entries": (dll(before=bytes(7)), "7 bytes before entry 'lib/net8.0/a.dll' that belong to nothing"),
    "after the last entry": (write([NUSPEC], End(before_directory=bytes(9))), "9 bytes before its directory"),
    "after the directory": (write([NUSPEC], End(behind_directory=bytes(5))), "5 bytes between its directory and"),
    "after the end": (write([NUSPEC], End(behind=b"junk")), "bytes after its end record"),
    "a comment that is longer": (write([NUSPEC], End(comment=b"a", comment_size=9)), "its comment is cut off"),
    "a hidden entry": (
        write([NUSPEC, replace(DLL, before=write([DLL])[: -22 - 46 - len(DLL.name)])]),
        "before entry 'lib/net8.0/a.dll' that belong to nothing",
    ),
    "two entries of the same bytes": (write([NUSPEC, DLL, replace(DLL, name=b"b.dll", offset=0)]), "overlaps"),
    "a header inside another entry": (dll(offset=10), "overlaps|is not where|belong to nothing"),
    "an entry after the directory": (dll(offset=2**31), "belong to nothing"),
    # Several end records.
    "another end in a comment": (write([NUSPEC, DLL], End(comment=FAKE_END)), "belong|directory|comment"),
    "records in a comment": (
        write([NUSPEC], End(comment=b"PK\1\2" + bytes(60))),
        "archive comment looks like part of another",
    ),
    "an end record after the end": (write([NUSPEC]) + FAKE_END, "directory|belong"),
    # Headers that differ.
    "another name": (dll(local_name=b"lib/net8.0/b.dll"), "another name or compression method in its local"),
    "a name that is longer": (dll(local_name=b"lib/net8.0/a.dll\0.txt"), "another name or compression method"),
    "another method": (dll(local_method=0), "another name or compression method"),
    "another size": (dll(local_sizes=(DLL.sizes[0], DLL.sizes[1], 1)), "different sizes or checksums"),
    "another checksum": (dll(local_sizes=(1, *DLL.sizes[1:])), "different sizes or checksums"),
    "other sizes before those that follow": (
        write([NUSPEC, replace(followed(DLL), local_sizes=(0, 1, 0))]),
        "different sizes or checksums",
    ),
    "flags in one header": (dll(local_flags=8), "two headers with different flags"),
    "UTF-8 in one header": (dll(local_flags=0x800), "two headers with different flags"),
    "nothing follows": (dll(flags=8, local_sizes=(0, 0, 0)), "what follows is different"),
    "something else follows": (
        write([NUSPEC, replace(followed(DLL), after=b"PK\7\x08" + bytes(12))]),
        "should be followed by its checksum and sizes",
    ),
    "more follows": (
        write([NUSPEC, replace(followed(DLL), after=followed(DLL).after + b"\0")]),
        "what follows is different",
    ),
    # Flags, versions, disks.
    "encrypted": (dll(flags=1), "is encrypted"),
    "strongly encrypted": (dll(flags=0x40), "is encrypted"),
    "masked headers": (dll(flags=0x2000), "is encrypted"),
    "encrypted in one header": (dll(local_flags=1), "with different flags"),
    "a patch": (dll(flags=0x20), "is a patch"),
    "an unknown flag": (dll(flags=0x10), r"flags that some readers do not know \(0x0010\)"),
    "a new version": (dll(version=63), r"needs version 6\.3 of the format"),
    "a new version before the bytes": (dll(local_version=255), r"needs version 25\.5 of the format"),
    "another disk": (dll(disk=1), "in another part of a split archive"),
    "an unknown method": (dll(method=9, packed=STREAM), "method 9; only deflate"),
    # ZIP64.
    "ZIP64 at the end": (write([NUSPEC, DLL], End(large=True, offset=LARGE)), "it uses ZIP64, which packages must not"),
    "ZIP64's end that is not needed": (write([NUSPEC, DLL], End(large=True)), "bytes between its directory and"),
    "ZIP64 in the directory": (dll(extra=zip64()), "uses ZIP64, which packages must not"),
    "ZIP64 sizes in the directory": (
        dll(extra=zip64(len(DLL.content)), size=LARGE, local_sizes=DLL.sizes),
        "uses ZIP64|sizes or checksum",
    ),
    "ZIP64 before the bytes": (dll(local_extra=zip64(1, 2)), "uses ZIP64, which packages must not"),
    # Extra fields.
    "another name in an extra field": (dll(extra=unicode_name("x.exe")), r"has another name, 'x\.exe', in an extra"),
    "another name before the bytes": (dll(local_extra=unicode_name("x.exe")), "has another name"),
    "an empty name in an extra field": (dll(extra=extra(0x7075, b"")), "has another name, ''"),
    "another old name in an extra field": (dll(extra=extra(0x554E, bytes(9))), "gives it another name"),
    "a link in an extra field": (dll(extra=extra(0x000D, bytes(20))), "makes it a link"),
    "an old link in an extra field": (dll(local_extra=extra(0x756E, bytes(20))), "makes it a link"),
    "encryption in an extra field": (dll(extra=extra(0x9901, bytes(7))), "for encryption"),
    "an extra field that is too long": (dll(extra=b"\1\2\xff\0x"), "has a damaged extra field"),
    "an extra field that is too short": (dll(local_extra=b"\1\2\0"), "has a damaged extra field"),
    # Kinds.
    "a symbolic link": (dll(attributes=0o120777 << 16), "'lib/net8.0/a.dll' is a symbolic link"),
    "a device": (dll(attributes=0o020666 << 16), "is a device or another special file"),
    "a pipe": (dll(attributes=0o010666 << 16), "is a device or another special file"),
    "a socket": (dll(attributes=0o140666 << 16), "is a device or another special file"),
    "a volume label": (dll(attributes=8), "is a device or another special file"),
    "a Windows link": (dll(attributes=0x400), "is a device or another special file"),
    "a file that is a folder": (dll(attributes=0o040755 << 16), "is marked as a folder"),
    "a file that is a Windows folder": (dll(attributes=0x10), "is marked as a folder"),
    "a folder with content": (dll(name=b"lib/a/"), "is a folder by its name, but contains data"),
    # Names.
    "a name in a code page": (dll(name=b"a\x81.dll"), "is not UTF-8, so systems read it differently"),
    "a name with NUL": (dll(name=b"a.dll\0.txt"), "control characters"),
}


@pytest.mark.parametrize(("package", "why"), REFUSED.values(), ids=REFUSED)
def test_archives_that_lie_are_refused(package, why):
    with pytest.raises(InvalidPackage, match=why) as refused:
        judged(package)

    assert "\n" not in str(refused.value)


def test_a_bomb_behind_a_size_that_lies_is_refused():
    """
    The last entry claims 3 MiB of compressed data that do not exist, so its ratio would look harmless.
    """
    bomb = replace(DLL, content=bytes(100 * 2**20))
    honest = write([NUSPEC, bomb])
    lying = write([NUSPEC, replace(bomb, packed_size=3 * 2**20)])

    for package, why in ((honest, "times its size"), (lying, "more than there are before the next")):
        with pytest.raises(InvalidPackage, match=why):
            judged(package)
    assert len(lying) < 200_000


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (make_snupkg() + b"junk", "bytes after its end record"),
        (make_snupkg(nuspec=make_nuspec(authors="", package_types=["SymbolsPackage"], more="<id>B</id>")), "2 'id'"),
    ],
)
def test_symbols_packages_obey_the_same_rules(package, why):
    with pytest.raises(InvalidPackage, match=why):
        SymbolsPackage(io.BytesIO(package), SymbolsLimits(), NOON)


@pytest.mark.parametrize("more", [0, 1, 100, 257, 258, 259, 300])
def test_the_last_bytes_of_output_are_not_lost(more):
    """
    The inflater may hold back bytes when all input is consumed and a block of output is full.
    """
    judged(write([NUSPEC, Written(b"zeros", bytes(2**20 + more))]))


@given(edits=EDITS)
@BOUNDED
def test_what_is_accepted_is_what_zipfile_reads(edits: list[Edit]):
    """
    Whatever is damaged, another reader finds the same names and contents in an archive that passes.
    """
    package = edited(write([NUSPEC, followed(DLL), Written(b"tools/b.txt", b"12345", method=0)]), edits)
    try:
        judged(package)
    except InvalidPackage:
        return
    nupkg = Nupkg(io.BytesIO(package))
    with zipfile.ZipFile(io.BytesIO(package)) as other:
        assert [nupkg.read(entry.name, 1000) for entry in nupkg.entries] == [
            other.read(info) for info in other.infolist()
        ]
