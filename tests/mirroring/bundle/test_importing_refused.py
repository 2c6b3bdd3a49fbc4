"""Imports that are refused or interrupted: what they leave behind, and how they continue."""

import errno
import inspect
import io
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.errors import BundleRefused, InvalidBundle, StorageUnavailable, UntrustedBundle
from nugetproxy.mirroring.bundle import receiving, staging
from nugetproxy.mirroring.bundle.committing import Committing
from nugetproxy.mirroring.bundle.manifest import Kind, PackageFacts
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.runtime.imports import importing_into
from tests.builders import make_nupkg
from tests.mirroring.bundle.bundles import entry, sha512
from tests.mirroring.bundle.importer import (
    LIST,
    PLAIN,
    A,
    bundle,
    config_of,
    document,
    import_bytes,
    import_stream,
    kept,
    package,
    rows,
    stored,
    traces,
)

# --- refused ----------------------------------------------------------------------------------------------------------


def lying(content: bytes, content_hash: str = "") -> bytes:
    """A bundle that says of any bytes that they are Contoso.A 1.0.0."""
    facts = PackageFacts("Contoso.A", "1.0.0", content_hash or sha512(content), ("nuget.org",), 1)
    return bundle(entry(Kind.PACKAGE, facts, content))


REFUSED = {
    "truncated": (PLAIN[:-600], "truncated"),
    "changed": (PLAIN.replace(b"b" * 50, b"c" + b"b" * 49, 1), "another SHA-512"),
    "other package": (lying(make_nupkg("Contoso.B", "1.0.0")), r"Contoso\.B"),
    "no package": (lying(b"MZ\x90\x00" * 100), "archive"),
    "other content hash": (lying(make_nupkg("Contoso.A", "1.0.0"), content_hash=sha512(b"x")), "content hash"),
    "data after the end": (PLAIN + b"x", "follows its end"),
    "document of a file": (bundle(document("file:///etc/passwd", b"x")), "not a document"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_leaves_no_trace(data: Path, name: str):
    content, why = REFUSED[name]

    with pytest.raises(InvalidBundle, match=why):
        await import_bytes(data, content)

    assert traces(data) == []
    assert rows(data, "SELECT count(*) FROM mirrored_packages") == [(0,)]
    assert stored(data, LIST) is None


async def test_a_bundle_of_an_unknown_key_is_refused(data: Path):
    other = PrivateKey.generate()

    with pytest.raises(UntrustedBundle):
        await import_bytes(data, bundle(*A, signer=other, key=other.fingerprint))

    assert traces(data) == []


async def test_the_budget_and_the_reserve_are_respected(data: Path):
    with pytest.raises(BundleRefused, match="budget"):
        await import_bytes(data, PLAIN, mirroring__budget="1KB")
    with pytest.raises(BundleRefused, match="disk space"):
        await import_bytes(data, PLAIN, storage__reserve="100TB")

    assert traces(data) == []


async def test_two_imports_at_the_same_time_are_refused(data: Path):
    async with importing_into(config_of(data)) as other:
        with other.alone(), pytest.raises(StorageUnavailable, match="another import"):
            await import_bytes(data, PLAIN)


# --- interrupted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full_after", [0, 300, 1500])
async def test_a_full_disk_leaves_no_trace(data: Path, monkeypatch: pytest.MonkeyPatch, full_after: int):
    """
    What the server needs most then is the space.
    """
    left = [full_after]

    class Full(io.FileIO):
        def write(self, block: Any) -> int:
            left[0] -= len(block)
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(block)

    monkeypatch.setattr(receiving, "create", lambda path: Full(path, "wb"))
    with pytest.raises(StorageUnavailable, match="No space left"):
        await import_bytes(data, PLAIN)
    assert traces(data) == []

    monkeypatch.undo()
    assert (await import_bytes(data, PLAIN)).packages == 2


@pytest.mark.parametrize(("count", "size"), [(1, 20_000_000), (300, 100)])
async def test_memory_grows_neither_with_the_size_of_packages_nor_with_their_number(data: Path, count: int, size: int):
    """
    A bundle of 20 GB is to be read with 64 MB. Here it is 20 MB with 5 MB, and 300 packages with the same.
    """
    file = data.parent / "team.bundle"
    payload = os.urandom(size)
    file.write_bytes(bundle(*(each for n in range(count) for each in package(f"Contoso.P{n}", payload=payload))))
    await import_bytes(data.parent / "warm", PLAIN)
    with file.open("rb") as source:
        tracemalloc.start()
        try:
            imported = await import_stream(data, source.read)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert imported.packages == count
    assert peak < 5_000_000


async def test_a_stick_that_is_pulled_out_leaves_what_was_verified(data: Path):
    source = io.BytesIO(PLAIN)

    def read(count: int) -> bytes:
        if source.tell() > len(PLAIN) - 4000:
            raise OSError(errno.EIO, "Input/output error")
        return source.read(count)

    with pytest.raises(InvalidBundle, match="Input/output error"):
        await import_stream(data, read)
    assert kept(data) == {}
    assert [each for each in traces(data) if each.endswith("journal.jsonl")]

    assert (await import_bytes(data, PLAIN)).packages == 2
    assert not (data / "imports").exists()


async def test_what_was_verified_is_not_written_again(data: Path, monkeypatch: pytest.MonkeyPatch):
    source, written = io.BytesIO(PLAIN), []
    real = staging.create

    def noted(path: Path) -> Any:
        written.append(path.name)
        return real(path)

    def read(count: int) -> bytes:
        if source.tell() > len(PLAIN) - 1500:
            raise OSError(errno.EIO, "Input/output error")
        return source.read(count)

    monkeypatch.setattr(receiving, "create", noted)
    with pytest.raises(InvalidBundle):
        await import_stream(data, read)
    first = len(written)

    await import_bytes(data, PLAIN)

    assert first
    assert len(written) == len(set(written)) == 5  # a document, two packages and their nuspecs


async def test_another_bundle_removes_what_an_interrupted_one_left(data: Path):
    await test_a_stick_that_is_pulled_out_leaves_what_was_verified(data.parent / "other")
    area = data / "imports" / ("0" * 32) / "files"
    area.mkdir(parents=True)
    (area / "1").write_bytes(b"left")

    await import_bytes(data, bundle(*A))

    assert not (data / "imports").exists()


async def test_a_commit_that_ends_anywhere_is_finished_by_the_next(data: Path, monkeypatch: pytest.MonkeyPatch):
    expected = data.parent / "expected"
    await import_bytes(expected, PLAIN)
    steps = {"_place": 1, "_enter": 2, "_move": 2, "_take": 2, "_ours": 1, "_commit_document": 1}
    for step, at in steps.items():
        here = data / step
        with monkeypatch.context() as patch:
            real = getattr(Committing, step)
            calls = [0]

            def broken(*given: Any, real: Any = real, calls: list[int] = calls, at: int = at) -> Any:
                calls[0] += 1
                if calls[0] != at:
                    return real(*given)
                return _failing() if inspect.iscoroutinefunction(real) else _fail()

            patch.setattr(Committing, step, broken)
            with pytest.raises(StorageUnavailable):
                await import_bytes(here, PLAIN)

        async with importing_into(config_of(here)) as importing:
            with importing.alone():
                assert await importing.finish() == 1

        assert kept(here) == kept(expected), step
        assert stored(here, LIST) == stored(expected, LIST)
        assert rows(here, "SELECT lower_id, size FROM mirrored_files") == rows(
            expected, "SELECT lower_id, size FROM mirrored_files"
        )
        assert not (here / "imports").exists()


def _fail() -> None:
    raise StorageUnavailable("the disk is gone")


async def _failing() -> None:
    _fail()
