"""Damaged and hostile bytes for every reader on this floor: only the named errors may be raised."""

import io
import random
from collections.abc import Callable

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nugetproxy.errors import InvalidPackage, InvalidRequest
from nugetproxy.nuget.archive import ArchiveLimits
from nugetproxy.nuget.lock_files import read_wanted
from nugetproxy.nuget.nupkg import Nupkg
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.signature import check_content, content_hash, read_signature
from tests.builders import make_nupkg, make_nuspec, make_signature, sign

NUSPEC = make_nuspec("A", "1.0-rc.1", dependencies={"net8.0": [("B", "[1.0, 2.0)")]}, readme="R.md", tags="x y")
NUPKG = make_nupkg("A", readme="# Hello", icon=b"PNG", dependencies=[("B", "1.0")], files={"lib/ä.txt": b"x"})
SIGNED = sign(NUPKG, "author", countersigned=True)
P7S = make_signature(bytes(32), signer="author", countersigned=True)
LOCK = orjson.dumps(
    {"version": 1, "dependencies": {"net8.0": {"A": {"type": "Direct", "resolved": "1.0", "contentHash": "YQ=="}}}}
)
ASSETS = orjson.dumps({"libraries": {"A/1.0": {"type": "package", "sha512": None}, "B/1": {"type": "project"}}})
NEWLINES = b'{"dependencies": {"a\\nb": {"c\\nd": {"type": "Direct", "resolved": "1\\n0"}}}}'
LINES = b"A 1.0 # one\n# two\nB 2.0-beta\n"

Edit = tuple[str, int, bytes]
EDITS = st.lists(
    st.tuples(st.sampled_from(["replace", "insert", "cut"]), st.integers(0, 2**16), st.binary(min_size=1, max_size=6)),
    min_size=1,
    max_size=4,
)
LIMITS = ArchiveLimits(max_nuspec_size=100_000, max_part_size=100_000)
BOUNDED = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    changed = bytearray(content)
    for kind, place, piece in edits:
        position = place % (len(changed) + 1)
        if kind == "cut":
            del changed[position : position + len(piece)]
        elif kind == "insert":
            changed[position:position] = piece
        else:
            changed[position : position + len(piece)] = piece
    return bytes(changed)


def read_package(package: bytes) -> None:
    nupkg = Nupkg(io.BytesIO(package), LIMITS)
    _ = nupkg.manifest.is_semver2, nupkg.entries
    for which in ("readme", "icon", "license"):
        nupkg.part(which)


def refusal(read: Callable[[bytes], object], data: bytes) -> str:
    """The message of a named error, empty if the bytes were read; anything else fails the test."""
    try:
        read(data)
    except (InvalidPackage, InvalidRequest) as refused:
        return str(refused)
    return ""


READERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "nuspec": (NUSPEC, lambda data: read_nuspec(data).as_dict()),
    "nupkg": (NUPKG, read_package),
    "signed nupkg": (SIGNED, read_package),
    "content": (SIGNED, lambda data: check_content(io.BytesIO(data))),
    "content hash": (SIGNED, lambda data: content_hash(io.BytesIO(data))),
    "p7s": (P7S, read_signature),
    "lock file": (LOCK, lambda data: read_wanted("x", data)),
    "assets file": (ASSETS, lambda data: read_wanted("x", data)),
    "keys with line ends": (NEWLINES, lambda data: read_wanted("x", data)),
    "list": (LINES, lambda data: read_wanted("x", data)),
}


@pytest.mark.parametrize("reader", READERS)
@given(edits=EDITS)
@BOUNDED
def test_edited_bytes_are_read_or_refused(reader, edits):
    whole, read = READERS[reader]

    assert "\n" not in refusal(read, edited(whole, edits))


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=200))
@example(data=b"{" * 5000)
@example(data=b'{"libraries":' + b"[" * 3000)
@example(data=b"\x30\x80" * 2000)
@example(data=b"\x30\x84\xff\xff\xff\xff")
@settings(BOUNDED, max_examples=40)
def test_any_bytes_are_read_or_refused(reader, data):
    _, read = READERS[reader]

    assert "\n" not in refusal(read, data)


@pytest.mark.parametrize("reader", ["nupkg", "content", "p7s"])
def test_many_single_flips_are_read_or_refused(reader):
    """
    Single flips reach fields that random edits rarely hit: lengths, offsets, tags.
    """
    whole, read = READERS[reader]
    chance = random.Random(11)
    for position in chance.sample(range(len(whole)), 600):
        damaged = bytearray(whole)
        damaged[position] ^= chance.randrange(1, 256)
        assert "\n" not in refusal(read, bytes(damaged))
