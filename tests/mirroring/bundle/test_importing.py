"""What an import changes, what it leaves alone, and what it refuses."""

import io
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.errors import BundleRefused, InvalidBundle, NugetproxyError
from nugetproxy.mirroring.bundle.head import Holds, Since
from nugetproxy.mirroring.bundle.importing import Options, Steps
from nugetproxy.mirroring.bundle.manifest import Kind
from nugetproxy.storage.revisions import ALL, Revisions
from tests.mirroring.bundle.bundles import entry, sha512
from tests.mirroring.bundle.importer import (
    FEED,
    LIST,
    PATH_A,
    PLAIN,
    A,
    B,
    bundle,
    document,
    import_bytes,
    import_stream,
    kept,
    package,
    rows,
    stored,
    traces,
)


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


async def test_it_says_how_far_it_is(data: Path):
    verified: list[tuple[int, int]] = []
    placed: list[tuple[int, int]] = []

    await import_bytes(
        data,
        PLAIN,
        steps=Steps(lambda *each: verified.append(each), lambda *each: placed.append(each)),
    )

    assert [sum(size for size, _ in verified)] == list({total for _, total in verified})
    assert placed == [(2, 2)]


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
