"""Packages: archives with false fields, and valid packages with damage, read, checked and compared.

Accepted content must be what another ZIP reader finds, with the stated sizes.
"""

import io
import zipfile
from dataclasses import replace
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.debug_directory import is_pdb_name, pdb_requests, read_debug_directory
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.portable_pdb import PortablePdb
from nugetproxy.nuget.push_rules import PushLimits, check_push
from nugetproxy.nuget.signature import check_content, content_hash, read_package_signature, read_signature
from nugetproxy.nuget.symbols_package import SymbolsLimits, SymbolsPackage
from nugetproxy.storage.blobs.base import BlobKey
from tests.builders import make_nupkg, make_nuspec, make_signature, sign
from tests.fuzzing.choices import Choices
from tests.fuzzing.nuspecs import NOON
from tests.fuzzing.target import Target
from tests.fuzzing.texts import odd_text
from tests.nuget.archives import LARGE, End, Written, deflated, extra, followed, write
from tests.symbol_builders import make_assembly, make_pdb, make_snupkg

LIMITS: Final = PushLimits(ratio_free_size=1_000_000)

_KINDS: Final = (0x0001, 0x000D, 0x0017, 0x554E, 0x5455, 0x5855, 0x6375, 0x7075, 0x756E, 0x7875, 0x9901, 0xA220)
_NAMES: Final = (
    *(
        b"Contoso.Utils.nuspec",
        b"lib/net8.0/a.dll",
        b"lib/",
        b"lib",
        b"a/../b",
        b"/a",
        b"C:\\a",
        b"a\\b",
        b"con",
        b"a.",
    ),
    *(
        b"LIB/net8.0/A.dll",
        b".signature.p7s",
        b"a.nuspec",
        b"readme.md",
        b"a:b",
        b"\xc3\xa4.dll",
        b"a\x81",
        b"",
        b"./a",
    ),
)


def make_archive(choices: Choices) -> bytes:
    """An archive with a nuspec, and false values in a few of its fields."""
    entries = [Written(b"Contoso.Utils.nuspec", make_nuspec()), Written(b"lib/net8.0/a.dll", b"a library " * 20)]
    entries += choices.some(lambda: _entry(choices), 3)
    for _ in range(choices.below(4)):
        at = choices.below(len(entries))
        entries[at] = _lying(choices, entries[at])
    if choices.chance(6):
        entries.append(choices.one_of(entries))
    if choices.chance(8):
        entries.reverse()
    package = write(entries, _end(choices) if choices.chance(3) else End())
    return choices.edited(package, 2) if choices.chance(4) else package


def _entry(choices: Choices) -> Written:
    content = choices.one_of((b"", b"x", bytes(100), bytes(70_000), b"0123456789" * 50, choices.raw(60)))
    name = choices.one_of(_NAMES) if choices.chance(2) else odd_text(choices)[:300].encode("utf-8", "replace")
    return Written(name, content, method=choices.one_of((8, 0)))


def _lying(choices: Choices, entry: Written) -> Written:
    """The entry with one false field, or one written in another way."""
    if choices.chance(5):
        return followed(entry, signature=choices.one_of((b"PK\x07\x08", b"")))
    number, stream = choices.number(), deflated(entry.content)
    lies: tuple[dict[str, Any], ...] = (
        {"size": number % 2**32},
        {"packed_size": number % 2**32},
        {"crc": number % 2**32},
        {"offset": number % 2**32},
        {"offset": choices.below(300)},
        {"method": choices.one_of((0, 8, 9, 12, 14, 99, 93))},
        {"flags": 1 << choices.below(16)},
        {"version": number % 2**16},
        {"attributes": choices.one_of((0o120777 << 16, 0o040755 << 16, 0x10, 0x400, 8, number % 2**32))},
        {"disk": number % 2**16},
        {"local_name": choices.one_of(_NAMES)},
        {"local_flags": 1 << choices.below(16)},
        {"local_method": choices.one_of((0, 8, 9))},
        {"local_version": number % 2**16},
        {"local_sizes": tuple(choices.one_of((*entry.sizes, 0, LARGE, number % 2**32)) for _ in range(3))},
        {"local_extra": _extras(choices)},
        {"extra": _extras(choices)},
        {"comment": choices.raw(12)},
        {"before": choices.raw(20)},
        {"after": choices.raw(20)},
        {"packed": stream + choices.raw(9)},
        {"packed": stream[: choices.below(len(stream) + 1)]},
        {"packed": choices.edited(stream)},
        {"content": bytes(choices.one_of((100_000, 1_000_000, 3_000_000)))},
        {"name": choices.one_of(_NAMES)},
        {"size": LARGE, "packed_size": LARGE, "extra": extra(1, number.to_bytes(8, "little") * 2)},
    )
    return replace(entry, **choices.one_of(lies))


def _extras(choices: Choices) -> bytes:
    kind = choices.one_of(_KINDS) if choices.chance(2) else choices.below(2**16)
    return choices.edited(extra(kind, choices.raw(24)), 1)


def _end(choices: Choices) -> End:
    number = choices.number()
    ends: tuple[dict[str, Any], ...] = (
        {"before_directory": choices.raw(30)},
        {"behind_directory": choices.raw(30)},
        {"comment": choices.raw(60)},
        {"comment": b"PK\5\6" + choices.raw(18)},
        {"comment_size": number % 2**16},
        {"behind": choices.raw(30)},
        {"large": True},
        {"large": True, "offset": LARGE},
        {"large": True, "count": 0xFFFF, "directory_size": LARGE},
        {"large": True, "offset": LARGE, "locator_offset": number},
        {"count": number % 2**16},
        {"directory_size": number % 2**32},
        {"offset": number % 2**32},
    )
    return End(**choices.one_of(ends))


@cache
def _good_packages() -> tuple[bytes, ...]:
    nuspec = make_nuspec("A", "1.0-rc.1", dependencies={"net8.0": [("B", "[1.0, 2.0)")]}, readme="R.md", tags="x y")
    return (
        make_nupkg(
            "A", readme="# Hello", icon=b"\x89PNG\r\n\x1a\n", dependencies=[("B", "1.0")], files={"lib/ä.txt": b"x"}
        ),
        make_nupkg(nuspec=nuspec, files={"R.md": b"r"}),
        sign(make_nupkg(license="MIT"), "author", countersigned=True),
        sign(make_nupkg(), "repository", after=1),
        write([followed(Written(b"a.nuspec", make_nuspec("A"))), Written(b"b.txt", b"12345", method=0)]),
    )


def make_damaged(choices: Choices) -> bytes:
    """A valid package with damage in a few places."""
    return choices.edited(choices.one_of(_good_packages()))


def make_damaged_symbols(choices: Choices) -> bytes:
    return choices.edited(make_snupkg())


class _CountedFile(io.BytesIO):
    """Counts what is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self.bytes_read += len(block)
        return block


def use_package(package: bytes) -> None:
    """As a mirrored one: its metadata, and the two hashes of its content."""
    file = _CountedFile(package)
    nupkg = Nupkg(file)
    identity = nupkg.identity
    assert nupkg.manifest.identity == identity
    for which in ("readme", "icon", "license"):
        nupkg.part(which)
    for entry in nupkg.entries:
        assert nupkg.find(entry.name) is not None
    check_content(file)
    content_hash(file)
    read_package_signature(file)
    # Its end, directory and parts, and two times the whole for the hashes.
    assert file.bytes_read <= 6 * len(package) + 1_000_000


def use_pushed_package(package: bytes) -> None:
    """zipfile reads an accepted package in the same way: the same names, and the stated sizes."""
    file = _CountedFile(package)
    nupkg = Nupkg(file)
    try:
        check_push(nupkg, LIMITS, clock=lambda: NOON)
    finally:
        # Its end, directory, all contents once, and headers and some entries again.
        assert file.bytes_read <= 8 * len(package) + 100_000
    assert sum(entry.size for entry in nupkg.entries) <= max(LIMITS.ratio_free_size, LIMITS.max_ratio * len(package))
    with zipfile.ZipFile(io.BytesIO(package)) as other:
        assert [(entry.raw_name, nupkg.read(entry.name, 2_000_000)) for entry in nupkg.entries] == [
            (_raw_name(info), other.read(info)) for info in other.infolist()
        ]
    use_package(package)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """zipfile decodes names that are not marked as UTF-8 differently."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def use_symbols(package: bytes) -> None:
    symbols = SymbolsPackage(io.BytesIO(package), SymbolsLimits(push=LIMITS, file_size=100_000), NOON)
    symbols.check_contents()
    library = Nupkg(io.BytesIO(make_library()))
    for name in symbols.pdb_names:
        assert symbols.pdb_of(library, name).id.key.isascii()


@cache
def make_library() -> bytes:
    return make_nupkg(files={"lib/net8.0/Contoso.Utils.dll": make_assembly(make_pdb())})


def make_pdb_or_assembly(choices: Choices) -> bytes:
    whole = choices.one_of(
        (make_pdb(), make_assembly(make_pdb()), make_assembly(make_pdb(), wide=False, algorithm="SHA512"))
    )
    return choices.edited(whole)


def use_pdb(content: bytes) -> None:
    if content[:2] == b"MZ":
        directory = read_debug_directory(content)
        assert len(directory.pdbs) + len(directory.checksums) <= 64
        for request in pdb_requests(directory):
            assert BlobKey.of(f"{request.key}.pdb").segments
            assert is_pdb_name(request.file)
            assert quote(request.file, safe="").count("/") == 0
        return
    pdb = PortablePdb.parse(content)
    assert content[pdb.id_at :][:16] == pdb.id.guid.bytes_le
    assert len(pdb.checksum("SHA256")) == 32


@cache
def _signatures() -> tuple[bytes, ...]:
    return (
        make_signature(bytes(32), signer="author", countersigned=True),
        make_signature(bytes(64), "sha512", owners=("a", "b")),
        make_signature(bytes(32), content=b"Version:1\r\n\r\n2.16.840.1.101.3.4.2.1-Hash:AA==\r\n\r\n"),
    )


def make_p7s(choices: Choices) -> bytes:
    return choices.edited(choices.one_of(_signatures()))


def use_p7s(p7s: bytes) -> None:
    signature = read_signature(p7s)
    assert signature.hash_algorithm in ("sha256", "sha384", "sha512")
    assert all(len(each) == 64 for each in signature.certificate_fingerprints)
    assert isinstance(signature.repository_url, str | None)
    assert all(isinstance(owner, str) for owner in signature.owners)


TARGETS: Final = (
    Target("archive", make_archive, use_package, (InvalidPackage,)),
    Target("pushed archive", make_archive, use_pushed_package, (InvalidPackage,)),
    Target("damaged package", make_damaged, use_package, (InvalidPackage,)),
    Target("pushed damaged package", make_damaged, use_pushed_package, (InvalidPackage,)),
    Target("symbols package", make_damaged_symbols, use_symbols, (InvalidPackage,)),
    Target("PDB and assembly", make_pdb_or_assembly, use_pdb, (InvalidPackage,)),
    Target("signature", make_p7s, use_p7s, (InvalidPackage,)),
)
