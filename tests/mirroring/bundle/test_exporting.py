"""What an export holds: the packages and documents that are kept, unchanged, or nothing at all."""

import asyncio
import io
import os
import tarfile

import orjson
import pytest

from nugetproxy.errors import DamagedContent, InvalidBundle, InvalidRequest, StorageUnavailable
from nugetproxy.mirroring.bundle.head import Holds, Since
from nugetproxy.mirroring.bundle.manifest import DocumentFacts, PackageFacts
from nugetproxy.mirroring.bundle.reading import open_bundle
from nugetproxy.mirroring.bundle.target import Pipe
from nugetproxy.mirroring.care.leases import EVICTION
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.runtime.exporting import EVERYTHING, Choice, Export
from nugetproxy.storage.leases import Leases
from tests.builders import make_nupkg, make_nuspec
from tests.mirroring.bundle.bundles import KEY, sha512
from tests.mirroring.bundle.shelf import INDEX, Shelf, files_of, paths_of


@pytest.fixture
async def shelf(tmp_path):
    made = Shelf(tmp_path / "data")
    for package_id, version in (("Contoso.Core", "1.0.0"), ("Contoso", "2.0.0"), ("Contoso", "10.0.0")):
        await made.put(package_id, version)
    return made


def folder(package_id, version):
    return [
        f"packages/{package_id}/{version}/{package_id}.{version}.nupkg",
        f"packages/{package_id}/{version}/{package_id}.{version}.nupkg.sha512",
        f"packages/{package_id}/{version}/{package_id}.nuspec",
    ]


async def test_packages_are_unchanged_with_their_hash_and_nuspec(shelf):
    exported, bundle = await shelf.export()

    files = {entry.path: content for entry, content in files_of(bundle)}
    assert [
        *folder("contoso.core", "1.0.0"), *folder("contoso", "10.0.0"), *folder("contoso", "2.0.0")
    ] == list(files)  # fmt: skip
    package = make_nupkg("Contoso.Core", "1.0.0")
    assert [package, sha512(package).encode(), make_nuspec("Contoso.Core", "1.0.0")] == [
        files[path] for path in folder("contoso.core", "1.0.0")
    ]
    assert {"package": 3, "package-hash": 3, "nuspec": 3} == exported.head.counts
    assert (Holds("everything"), None, 1) == (exported.head.holds, exported.head.since, exported.head.sequence)
    assert {"up": INDEX} == exported.head.upstreams


async def test_progress_ends_at_the_size_of_the_content(shelf):
    told: list[tuple[int, int]] = []
    async with Export(shelf.config()) as export:
        exported = await export.write(EVERYTHING, KEY, Pipe(io.BytesIO()), advanced=lambda *each: told.append(each))

    assert {exported.head.size} == {total for _, total in told}
    assert exported.head.size == sum(size for size, _ in told)


async def test_a_bundle_is_a_tar(shelf):
    _, bundle = await shelf.export()

    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        assert ["bundle.json", "bundle.json.sig", "manifest.jsonl", *paths_of(bundle)] == tar.getnames()


async def test_the_same_content_is_the_same_bytes(shelf):
    bundles = [(await shelf.export())[1] for _ in range(2)]

    # Only id and number differ, and the signature over them.
    starts = [bundle.index(b'"path":"packages/contoso.core/1.0.0') for bundle in bundles]
    assert bundles[0][starts[0] :] == bundles[1][starts[1] :]
    heads = []
    for bundle in bundles:
        with open_bundle(io.BytesIO(bundle).read, "x", None) as reader:
            heads.append(orjson.loads(reader.beginning.content))
    assert {"bundle", "sequence"} == {key for key in heads[0] if heads[0][key] != heads[1][key]}


async def test_packages_that_the_inventory_does_not_know(shelf):
    await shelf.put("Copied", "1.0.0", row=False)
    await shelf.put("Old", "1.0.0", sha512="", modified=0)

    _, bundle = await shelf.export()

    found = {entry.path: entry for entry, _ in files_of(bundle)}
    for name in ("Copied", "Old"):
        entry = found[folder(name.lower(), "1.0.0")[0]]
        assert isinstance(entry.facts, PackageFacts)
        assert (name, entry.sha512) == (entry.facts.id, entry.facts.content_hash)


async def test_the_nuspec_is_that_in_the_package(shelf):
    path = shelf.path("contoso.core").with_name("contoso.core.nuspec")
    path.write_bytes(b"changed")

    _, bundle = await shelf.export()

    assert make_nuspec("Contoso.Core", "1.0.0") in [content for _, content in files_of(bundle)]


async def test_a_package_of_two_upstreams_is_there_once(shelf):
    shelf.note_upstream("other")
    await shelf.put("Contoso.Core", upstream="other")

    _, bundle = await shelf.export()

    facts = [entry.facts for entry, _ in files_of(bundle) if isinstance(entry.facts, PackageFacts)]
    assert ("up", "other") == facts[0].upstreams


# --- nothing wrong is exported ---


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"contoso.core 1.0.0 has \d+ bytes instead of \d+"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "nupkg is damaged: it has another SHA-512"),
        (lambda path: path.unlink(), "contoso.core 1.0.0 is in the inventory, but its file is missing"),
    ],
)
async def test_a_damaged_package_is_named_and_nothing_is_exported(shelf, damage, why):
    damage(shelf.path("contoso.core"))

    with pytest.raises(DamagedContent, match=rf"{why}.*nothing was exported: `nugetproxy mirror verify`"):
        await shelf.export()


async def test_all_damaged_packages_are_named(shelf):
    for name, version in (("contoso.core", "1.0.0"), ("contoso", "2.0.0")):
        path = shelf.path(name, version)
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(DamagedContent) as refused:
        await shelf.export()
    assert 2 == len(refused.value.problems)


async def test_a_package_that_differs_between_upstreams(shelf):
    shelf.note_upstream("other")
    await shelf.put("Contoso.Core", upstream="other", content=make_nupkg("Contoso.Core", "1.0.0", readme="other"))

    with pytest.raises(DamagedContent, match="was fetched from up and other, with different content"):
        await shelf.export()


async def test_nothing_is_evicted_during_an_export(shelf):
    async with Export(shelf.config()):
        assert Leases(shelf.data / "locks").try_hold(EVICTION) is None
    lease = Leases(shelf.data / "locks").try_hold(EVICTION)
    assert lease is not None
    lease.release()


async def test_an_export_waits_for_an_eviction(shelf):
    async with Leases(shelf.data / "locks").hold(EVICTION):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), Export(shelf.config()):
                pass


async def test_a_directory_that_cannot_be_written(shelf, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)

    with pytest.raises(StorageUnavailable, match="its bundles cannot be numbered: run this as the server's user"):
        await shelf.export()


# --- documents ---


async def test_documents_travel_as_stored(shelf):
    url = "https://up.test/v3/flat/contoso/index.json"
    await shelf.document(url, b'{"versions": ["2.0.0"]}')

    _, bundle = await shelf.export()

    entry, content = files_of(bundle)[0]
    assert DocumentFacts(url, 200, '"tag"', "", "application/json", 10.0, 20.0, expired=False) == entry.facts
    assert b'{"versions": ["2.0.0"]}' == content


async def test_absences_and_searches_stay(shelf):
    await shelf.document("https://up.test/v3/flat/none/index.json", b"", status=404)
    await shelf.document("https://up.test/query?q=contoso", b"{}", useful_for=3600.0)
    await shelf.document("https://up.test/lasting", b"{}", useful_for=30 * 86400.0)

    exported, _ = await shelf.export()

    assert 1 == exported.head.counts["document"]


async def fill_with_documents(shelf):
    resources = [
        {"@id": "https://up.test/flat/", "@type": "PackageBaseAddress/3.0.0"},
        {"@id": "https://up.test/reg/", "@type": "RegistrationsBaseUrl/3.6.0"},
        {"@id": "https://up.test/vulnerabilities.json", "@type": "VulnerabilityInfo/6.7.0"},
    ]
    leaf = {
        "@id": "https://up.test/reg/contoso/2.0.0.json",
        "catalogEntry": {
            "id": "Contoso", "version": "2.0.0", "listed": False, "published": "2020-01-02T03:04:05Z",
        },
        "packageContent": "https://up.test/flat/contoso/2.0.0/contoso.2.0.0.nupkg",
    }  # fmt: skip
    page = {"@id": "https://up.test/reg/contoso/page/1.json", "lower": "2.0.0", "upper": "2.0.0", "count": 1}
    index = {"count": 1, "items": [page]}
    vulnerabilities = [{"@name": "base", "@id": "https://up.test/base.json", "@updated": "2020-01-02T03:04:05Z"}]
    for url, value in {
        INDEX: {"version": "3.0.0", "resources": resources},
        "https://up.test/flat/contoso/index.json": {"versions": ["2.0.0"]},
        "https://up.test/flat/contoso.core/index.json": {"versions": ["1.0.0"]},
        "https://up.test/reg/contoso/index.json": index,
        "https://up.test/reg/contoso/page/1.json": page | {"items": [leaf]},
        "https://up.test/vulnerabilities.json": vulnerabilities,
        "https://up.test/base.json": {},
    }.items():
        await shelf.document(url, orjson.dumps(value))


async def test_chosen_packages_bring_their_documents_and_what_all_clients_read(shelf):
    await fill_with_documents(shelf)

    _, bundle = await shelf.export(
        Choice(Holds("pinned", ("x",)), frozenset([PackageIdentity.parse("contoso", "2.0.0")]))
    )

    urls = {entry.facts.url for entry, _ in files_of(bundle) if isinstance(entry.facts, DocumentFacts)}
    assert {
        INDEX, "https://up.test/flat/contoso/index.json", "https://up.test/reg/contoso/index.json",
        "https://up.test/reg/contoso/page/1.json", "https://up.test/vulnerabilities.json", "https://up.test/base.json",
    } == urls  # fmt: skip
    assert folder("contoso", "2.0.0") == paths_of(bundle)[6:]


async def test_what_the_upstream_stated_of_a_package(shelf):
    await fill_with_documents(shelf)

    _, bundle = await shelf.export()

    stated = {
        (entry.facts.id, entry.facts.version): (entry.facts.published, entry.facts.listed)
        for entry, _ in files_of(bundle)
        if isinstance(entry.facts, PackageFacts)
    }
    assert ("2020-01-02T03:04:05Z", False) == stated["Contoso", "2.0.0"]
    assert ("", None) == stated["Contoso.Core", "1.0.0"]


async def test_the_verdict_of_the_policy(shelf):
    await fill_with_documents(shelf)

    _, bundle = await shelf.export(policy={"rule": [{"name": "no-core", "ids": ["Contoso.Core"]}]})

    verdicts = {
        entry.facts.id: entry.facts.verdict for entry, _ in files_of(bundle) if isinstance(entry.facts, PackageFacts)
    }
    assert {"Contoso": "allowed", "Contoso.Core": "withheld: no-core"} == verdicts


# --- what is chosen ---


async def test_what_is_pinned_under_a_name(shelf):
    await shelf.pin("contoso.core", "1.0.0", "web")
    await shelf.pin("contoso", "", "all")

    async with Export(shelf.config()) as export:
        web, whole = await export.pinned("web"), await export.pinned("all")
        with pytest.raises(InvalidRequest, match="nothing is pinned under the name 'x'; names of pins: all, web"):
            await export.pinned("x")

    assert folder("contoso.core", "1.0.0") == paths_of((await shelf.export(web))[1])
    assert [*folder("contoso", "10.0.0"), *folder("contoso", "2.0.0")] == paths_of((await shelf.export(whole))[1])
    assert Holds("pinned", ("web",)) == web.holds


async def test_packages_of_an_unknown_upstream(shelf):
    await shelf.put("Contoso.Core", "3.0.0", upstream="other")

    with pytest.raises(DamagedContent, match="1 packages are from the upstream other, whose service index is not"):
        await shelf.export()


async def test_a_chosen_package_that_is_not_kept(shelf):
    await shelf.pin("absent", "1.0.0", "web")

    async with Export(shelf.config()) as export:
        choice = await export.pinned("web")
    with pytest.raises(DamagedContent, match=r"absent 1.0.0 is not in the mirror"):
        await shelf.export(choice)


# --- since ---


@pytest.fixture
async def first(shelf, tmp_path):
    exported, bundle = await shelf.export()
    (tmp_path / "first.bundle").write_bytes(bundle)
    return exported.head


async def test_only_what_is_new_since_a_bundle(shelf, first, tmp_path):
    await shelf.put("New", "1.0.0")

    exported, bundle = await shelf.export(base=tmp_path / "first.bundle")

    files = files_of(bundle)
    assert ["assumed.jsonl", *folder("new", "1.0.0")] == [entry.path for entry, _ in files]
    assumed = [orjson.loads(line)["path"] for line in files[0][1].splitlines()]
    assert [
        folder(*each)[0] for each in (("contoso.core", "1.0.0"), ("contoso", "10.0.0"), ("contoso", "2.0.0"))
    ] == assumed
    assert (Since("bundle", first.bundle), 2) == (exported.head.since, exported.head.sequence)


async def test_a_bundle_since_a_bundle_since_a_bundle(shelf, first, tmp_path):
    await shelf.put("New", "1.0.0")
    (tmp_path / "second.bundle").write_bytes((await shelf.export(base=tmp_path / "first.bundle"))[1])
    await shelf.put("Newer", "1.0.0")

    _, bundle = await shelf.export(base=tmp_path / "second.bundle")

    assert ["assumed.jsonl", *folder("newer", "1.0.0")] == paths_of(bundle)


async def test_since_a_manifest(shelf, first, tmp_path):
    with tarfile.open(tmp_path / "first.bundle") as tar:
        tar.extract("manifest.jsonl", tmp_path, filter="data")

    exported, bundle = await shelf.export(base=tmp_path / "manifest.jsonl")

    assert ["assumed.jsonl"] == paths_of(bundle)
    assert Since("manifest", first.manifest_sha512) == exported.head.since


async def test_changed_content_is_new(shelf, first, tmp_path):
    await shelf.put("Contoso.Core", content=make_nupkg("Contoso.Core", "1.0.0", readme="changed"))

    _, bundle = await shelf.export(base=tmp_path / "first.bundle")

    # The nuspec names the readme, so it differs as well.
    assert ["assumed.jsonl", *folder("contoso.core", "1.0.0")] == paths_of(bundle)


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"", InvalidBundle, "is truncated"),
        (b"{}", InvalidRequest, "is no bundle, no manifest.jsonl of one, and no inventory"),
        (b'{"inventory":"x","format":1}\n', InvalidRequest, "an inventory that this nugetproxy cannot read"),
        (b'{"path":"b"}\n', InvalidBundle, "a line cannot be read: "),
    ],
)
async def test_since_something_else(shelf, tmp_path, content, error, why):
    (tmp_path / "base").write_bytes(content)

    with pytest.raises(error, match=why):
        await shelf.export(base=tmp_path / "base")
