"""Unpacking single entries: it ends, whatever follows the compressed stream."""

import io
from itertools import islice

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import ArchiveLimits, read_end_record, read_entries
from nugetproxy.nuget.archive_contents import _unpacked, check_entry, read_entry, read_start
from tests.nuget.archives import Written, deflated, write

MEGABYTE = 2**20


def opened(content: bytes, behind: bytes):
    file = io.BytesIO(write([Written(b"a", content, packed=deflated(content) + behind)]))
    (entry,) = read_entries(file, read_end_record(file), ArchiveLimits())
    return file, entry


@pytest.mark.parametrize("behind", [b"", b"x", bytes(300), bytes(70_000)], ids=len)
@pytest.mark.parametrize("size", [1, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 3 * MEGABYTE + 5])
def test_an_entry_ends_where_its_stream_ends(size, behind):
    file, entry = opened(bytes(size), behind)

    blocks = list(islice(_unpacked(file, entry), 20))

    assert len(blocks) < 20
    assert sum(map(len, blocks)) == size
    assert len(read_entry(file, entry, size)) == size
    assert len(read_start(file, entry, size + 1)) == size
    if behind:
        with pytest.raises(InvalidPackage, match=f"has {len(behind)} bytes after its compressed stream"):
            check_entry(file, entry)
    else:
        check_entry(file, entry)
