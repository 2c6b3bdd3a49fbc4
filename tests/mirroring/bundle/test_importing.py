"""What an import changes, what it leaves alone, and what it refuses."""

import errno
import io
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.config import Config, load
from nugetproxy.errors import BundleRefused, InvalidBundle, NugetproxyError, StorageUnavailable, UntrustedBundle
from nugetproxy.mirroring.bundle import receiving, staging
from nugetproxy.mirroring.bundle.committing import Committing
from nugetproxy.mirroring.bundle.head import Holds, Since
from nugetproxy.mirroring.bundle.importing import Options
from nugetproxy.mirroring.bundle.manifest import Kind, PackageFacts
from nugetproxy.mirroring.bundle.signature import PrivateKey
from nugetproxy.runtime.imports import importing_into
from nugetproxy.storage.revisions import ALL, Revisions
from tests.builders import make_nupkg
from tests.mirroring.bundle.bundles import entry, sha512
from tests.mirroring.bundle.importer import (
    FEED,
    bundle,
    document,
    import_bytes,
    import_stream,
    kept,
    package,
    rows,
    stored,
)

LIST = "https://feed.test/v3/flat/contoso.a/index.json"
A, B = package("Contoso.A"), package("Contoso.B", "2.0.0-beta.1", payload=b"b" * 3000)
PATH_A = "nuget.org/contoso.a/1.0.0/contoso.a.1.0.0.nupkg"
PLAIN = bundle(*A, *B, document(LIST, b'{"versions":["1.0.0"]}'))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def traces(data: Path) -> list[str]:
    """What is in the directory beside what every command creates there."""
    usual = {"mirror", "spool", "locks", "locks/door", "documents", "documents/cache.db", "inventory.db", "revisions"}
    found = {str(each.relative_to(data)) for each in data.rglob("*")} if data.exists() else set()
    return sorted(each for each in found - usual if not each.endswith(("-wal", "-shm")))


async def test_packages_and_documents_are_here_afterwards(data: Path):
    imported = await import_bytes(data, PLAIN)

    assert (imported.packages, imported.documents, imported.had) == (2, 1, 0)
    assert {path: content for path, content in kept(data).items() if path.endswith(".nupkg")} == {
        PATH_A: A[0][1],
        "nuget.org/contoso.b/2.0.0-beta.1/contoso.b.2.0.0-beta.1.nupkg": B[0][1],
    }
    # The nuspec is that of the package, whatever the bundle says.
    assert b"<id>Contoso.A</id>" in kept(data)["nuget.org/contoso.a/1.0.0/contoso.a.nuspec"]
    assert stored(data, LIST) == b'{"versions":["1.0.0"]}'
    assert [name for name in traces(data) if not name.startswith("mirror/")] == ["imported-bundles.json",
                                                                                "upstreams.json"]  # fmt: skip


async def test_the_inventory_knows_all_of_it_and_is_not_rebuilt(data: Path):
    await import_bytes(data, PLAIN)

    columns = "lower_id, lower_version, p.size, content_hash, sha512, modified, verified > 0"
    joined = "mirrored_packages AS p JOIN mirrored_files USING (upstream, lower_id, lower_version)"
    found = rows(data, f"SELECT {columns} FROM {joined}")
    path = data / "mirror" / PATH_A
    assert found[0] == ("contoso.a", "1.0.0", len(A[0][1]), sha512(A[0][1]), sha512(A[0][1]),
                        path.stat().st_mtime_ns, 1)  # fmt: skip
    assert len(found) == 2
    assert rows(data, "SELECT count(*) FROM reconciled") == [(1,)]


async def test_a_second_import_changes_nothing(data: Path):
    await import_bytes(data, PLAIN)
    before = kept(data)

    again = await import_bytes(data, PLAIN)

    assert (again.packages, again.documents, again.had) == (0, 0, 2)
    assert kept(data) == before


async def test_other_processes_see_it(data: Path):
    data.mkdir()
    revisions = Revisions(data)
    before = revisions.packages[ALL]

    await import_bytes(data, PLAIN)

    assert revisions.packages[ALL] != before
    revisions.close()


@pytest.mark.parametrize("read", [1, 7, 100_000], ids=str)
async def test_a_pipe_gives_as_much_as_it_likes(data: Path, read: int):
    source = io.BytesIO(PLAIN)

    imported = await import_stream(data, lambda count: source.read(min(count, read)))

    assert imported.packages == 2


# --- what the receiver has --------------------------------------------------------------------------------------------


async def test_another_content_of_a_kept_version_is_left_out(data: Path):
    await import_bytes(data, bundle(*A))
    other = package("Contoso.A", payload=b"another")

    imported = await import_bytes(data, bundle(*other, *B, sequence=2))

    assert (imported.packages, imported.conflicts) == (1, ["Contoso.A 1.0.0"])
    assert kept(data)[PATH_A] == A[0][1]


async def test_a_file_that_was_put_there_by_hand_is_compared(data: Path):
    path = data / "mirror" / PATH_A
    path.parent.mkdir(parents=True)
    path.write_bytes(A[0][1])

    assert (await import_bytes(data, bundle(*A))).had == 1

    path.write_bytes(A[0][1] + b"x")
    (data / "inventory.db").unlink()
    assert (await import_bytes(data, bundle(*A))).conflicts == ["Contoso.A 1.0.0"]


@pytest.mark.parametrize(("confirmed", "expected"), [(4.0, b"new"), (3.0, b"ours"), (2.0, b"ours")])
async def test_the_newer_document_stays(data: Path, confirmed: float, expected: bytes):
    await import_bytes(data, bundle(document(LIST, b"ours", confirmed=3.0)))

    await import_bytes(data, bundle(document(LIST, b"new", confirmed=confirmed), sequence=2))

    assert stored(data, LIST) == expected


async def test_a_clock_that_is_ahead_does_not_make_documents_the_newest_for_ever(data: Path):
    await import_bytes(data, bundle(document(LIST, b"of 2100", confirmed=4_102_444_800.0)))

    await import_bytes(data, bundle(document(LIST, b"of now", confirmed=4_102_444_801.0), sequence=2))

    assert stored(data, LIST) == b"of now"


# --- upstreams and pins -----------------------------------------------------------------------------------------------


async def test_an_upstream_that_is_known_by_another_name_keeps_our_name(data: Path):
    ours = [{"name": "ours", "service_index": FEED}]

    imported = await import_bytes(data, bundle(*A), mirroring__upstream=ours)

    assert (imported.upstreams, next(iter(kept(data)))) == ([], PATH_A.replace("nuget.org", "ours"))


async def test_an_unknown_upstream_is_recorded_for_a_server_without_settings(data: Path):
    upstreams = {"corp": "https://corp.test/v3/index.json", "nuget.org": "https://api.nuget.org/v3/index.json"}

    imported = await import_bytes(data, bundle(*package("Contoso.A", upstreams=("corp",)), upstreams=upstreams))

    assert imported.upstreams == ["corp"]
    assert [name in (data / "upstreams.json").read_text() for name in upstreams] == [True, True]


async def test_a_package_of_two_upstreams_is_kept_for_both(data: Path):
    both = {"one": "https://one.test/v3/index.json", "two": "https://two.test/v3/index.json"}

    imported = await import_bytes(data, bundle(*package("Contoso.A", upstreams=("one", "two")), upstreams=both))

    assert imported.packages == 1
    assert [path for path in kept(data) if path.endswith(".nupkg")] == [
        PATH_A.replace("nuget.org", "one"),
        PATH_A.replace("nuget.org", "two"),
    ]
    assert rows(data, "SELECT upstream FROM mirrored_files") == [("one",), ("two",)]


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", "x" * 300, "con:"])
async def test_the_name_of_an_upstream_leads_nowhere(data: Path, name: str):
    with pytest.raises(NugetproxyError):
        await import_bytes(data, bundle(*package("Contoso.A", upstreams=(name,)), upstreams={name: FEED}))

    assert traces(data) == []


async def test_an_upstream_that_the_bundle_does_not_describe_is_refused(data: Path):
    with pytest.raises(InvalidBundle, match="upstream"):
        await import_bytes(data, bundle(*package("Contoso.A", upstreams=("../../x",))))

    assert traces(data) == []


async def test_pins_travel_by_name(data: Path):
    await import_bytes(data, bundle(*A, holds=Holds("pinned", ("web-team",))), Options(pin_as="stick 7"))

    assert rows(data, "SELECT lower_id, lower_version, name FROM mirrored_pins") == [
        ("contoso.a", "1.0.0", "stick 7"),
        ("contoso.a", "1.0.0", "web-team"),
    ]


# --- order ------------------------------------------------------------------------------------------------------------


async def test_an_older_bundle_is_refused(data: Path):
    await import_bytes(data, bundle(*A, sequence=5))

    with pytest.raises(BundleRefused, match=r"number 4 of its source.*number 5.*--allow-older"):
        await import_bytes(data, bundle(*B, sequence=4))

    assert (await import_bytes(data, bundle(*B, sequence=4), Options(allow_older=True))).packages == 1
    assert (await import_bytes(data, bundle(*B, sequence=4))).packages == 0  # it was imported
    with pytest.raises(BundleRefused):
        await import_bytes(data, bundle(*A, *B, sequence=4))


async def test_sequences_of_another_source_are_its_own(data: Path):
    await import_bytes(data, bundle(*A, sequence=5))

    assert (await import_bytes(data, bundle(*B, sequence=1, source="2" * 32))).packages == 1


@pytest.mark.parametrize("kind", ["bundle", "manifest"])
async def test_a_delta_needs_its_base(data: Path, kind: str):
    base = "a" * 32 if kind == "bundle" else sha512(b"x")

    with pytest.raises(BundleRefused, match=f"since the {kind} {base[:9]}"):
        await import_bytes(data, bundle(*A, since=Since(kind, base)))

    assert traces(data) == []


def assumed(*files: Any) -> tuple[Any, bytes]:
    return entry(Kind.ASSUMED, None, b"".join(each.to_line() for each, _ in files))


async def test_a_delta_says_what_is_missing_of_its_base(data: Path):
    base = bundle(*A)
    first = await import_bytes(data, base)
    delta = bundle(*B, assumed(A[0], package("Contoso.Gone")[0]), since=Since("bundle", first.head.bundle), sequence=2)

    imported = await import_bytes(data, delta)

    assert (imported.packages, imported.missing) == (1, ["Contoso.Gone 1.0.0"])


async def test_a_delta_to_the_inventory_of_another_mirror_is_refused(data: Path):
    with pytest.raises(BundleRefused, match=r"Contoso\.A 1\.0\.0"):
        await import_bytes(data, bundle(*B, assumed(A[0]), since=Since("inventory", "b" * 32)))

    assert traces(data) == []


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
    async with importing_into(_config(data)) as other:
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
    steps = {"_commit_packages": 1, "_move": 2, "_take": 2, "_ours": 1, "_commit_document": 1}
    for step, at in steps.items():
        here = data / step
        with monkeypatch.context() as patch:
            real = getattr(Committing, step)
            calls = [0]

            def broken(*given: Any, real: Any = real, calls: list[int] = calls, at: int = at) -> Any:
                calls[0] += 1
                if calls[0] == at:
                    raise StorageUnavailable("the disk is gone")
                return real(*given)

            patch.setattr(Committing, step, broken)
            with pytest.raises(StorageUnavailable):
                await import_bytes(here, PLAIN)

        async with importing_into(_config(here)) as importing:
            with importing.alone():
                assert await importing.finish() == 1

        assert kept(here) == kept(expected), step
        assert stored(here, LIST) == stored(expected, LIST)
        assert rows(here, "SELECT lower_id, size FROM mirrored_files") == rows(
            expected, "SELECT lower_id, size FROM mirrored_files"
        )
        assert not (here / "imports").exists()


def _config(data: Path) -> Config:
    return load(None, {}, {"storage.path": str(data)})
