import struct
import zlib

import pytest

from nugetproxy.nuget.first_bytes import LARGEST_NUSPEC, LONGEST_SEARCH, FirstBytes
from tests.builders import make_nupkg, make_nuspec, make_zip

NUSPEC = make_nuspec(dependencies=[("Contoso.Base", "1.0.0")])
NAME = "Contoso.Utils.nuspec"


def fed(package: bytes, block: int) -> FirstBytes:
    first = FirstBytes()
    for start in range(0, len(package), block):
        first.feed(package[start : start + block])
    return first


def streamed(entries: dict[str, bytes], *, signed_descriptors: bool = True) -> bytes:
    """An archive as it is written to a pipe: sizes follow the compressed data."""
    archive = b""
    for name, content in entries.items():
        packing = zlib.compressobj(wbits=-15)
        packed = packing.compress(content) + packing.flush()
        head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 8, 8, 0, 0, 0, 0, 0, len(name), 0)
        sizes = struct.pack("<3I", zlib.crc32(content), len(packed), len(content))
        archive += head + name.encode() + packed + (b"PK\x07\x08" if signed_descriptors else b"") + sizes
    return archive + b"PK\x01\x02" + bytes(42)


@pytest.mark.parametrize("block", [100, 4096, 1 << 20])
@pytest.mark.parametrize(
    "package",
    [
        make_nupkg(nuspec=NUSPEC),
        make_nupkg(nuspec=NUSPEC, payload=bytes(200_000)),
        make_zip({"_rels/.rels": b"<x/>" * 100, "lib/a.nuspec": b"not in the root", NAME: NUSPEC}),
        make_zip({}, stored={NAME: NUSPEC}),
        streamed({"_rels/.rels": b"<x/>" * 100, NAME: NUSPEC}),
        streamed({"_rels/.rels": b"<x/>" * 100, NAME: NUSPEC}, signed_descriptors=False),
    ],
    ids=["packed", "with a library", "behind others", "stored", "streamed", "streamed, plain descriptors"],
)
def test_the_nuspec_is_found_as_the_package_arrives(package, block):
    assert fed(package, block).nuspec == NUSPEC


def test_it_is_found_before_the_rest_has_come():
    first = FirstBytes()
    assert first.feed(make_nupkg(nuspec=NUSPEC, payload=bytes(500_000))[:2000]) == NUSPEC
    assert first.is_over


@pytest.mark.parametrize(
    "package",
    [
        b"<html>Please log in</html>" * 10,
        make_zip({"lib/a.dll": b"MZ"}),
        make_zip({}, stored={"lib/large.dll": bytes(LONGEST_SEARCH), NAME: NUSPEC}),
        make_zip({NAME: bytes(LARGEST_NUSPEC + 1)}),
        streamed({NAME: bytes(LARGEST_NUSPEC + 1)}),
        streamed({"a.dll": bytes(LONGEST_SEARCH + 1), NAME: NUSPEC}),
        make_nupkg(nuspec=NUSPEC).replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01", 1),
        make_nupkg(nuspec=NUSPEC).replace(b"PK\x03\x04\x14\x00\x00\x00\x08", b"PK\x03\x04\x14\x00\x00\x00\x0c", 1),
    ],
    ids=["no archive", "none", "late", "large", "streamed bomb", "bomb before it", "encrypted", "other method"],
)
def test_what_cannot_be_read_early_is_given_up(package):
    first = fed(package, 4096)
    assert first.nuspec is None
    assert first.is_over


def test_no_more_is_looked_at_than_the_beginning():
    """
    Neither in bytes nor in blocks: an upstream that sends single bytes would have an entry unpacked with each.
    """
    streamed_start = streamed({"a.dll": bytes(range(256)) * 100})[:4000]
    first = fed(streamed_start, 1)
    assert first.is_over
    assert fed(make_zip({}, stored={"lib/a.dll": bytes(60_000), "lib/b.dll": bytes(60_000)}), 10_000).is_over
