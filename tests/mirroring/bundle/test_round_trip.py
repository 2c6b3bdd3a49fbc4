"""From one data directory to another, with nothing between them but bundles."""

import asyncio

import pytest

from nugetproxy.mirroring.bundle.target import Pipe
from nugetproxy.runtime.mirror_inventory import write_inventory
from tests.mirroring.bundle.importer import import_bytes, kept, stored
from tests.mirroring.bundle.shelf import Shelf, paths_of

URL = "https://up.test/flat/contoso/index.json"


@pytest.fixture
async def shelf(tmp_path):
    made = Shelf(tmp_path / "data")
    for name in ("Contoso.Core", "Contoso"):
        await made.put(name)
    await made.document(URL, b"old")
    return made


def packages(data):
    return {path: content for path, content in kept(data).items() if path.endswith(".nupkg")}


async def test_everything_arrives_as_it_was(shelf, tmp_path):
    _, bundle = await shelf.export()

    imported = await import_bytes(tmp_path / "other", bundle)

    assert (2, 1, [], []) == (imported.packages, imported.documents, [*imported.conflicts], [*imported.missing])
    assert packages(shelf.data) == packages(tmp_path / "other")
    assert b"old" == stored(tmp_path / "other", URL)


async def test_packages_of_an_upstream_of_before(shelf, tmp_path):
    shelf.note_upstream("other")
    await shelf.put("Old", upstream="other")

    _, bundle = await shelf.export()

    assert ["other"] == [name for name in (await import_bytes(tmp_path / "other", bundle)).upstreams if name != "up"]
    assert packages(shelf.data) == packages(tmp_path / "other")


async def test_one_bundle_after_another(shelf, tmp_path):
    _, first = await shelf.export()
    (tmp_path / "first.bundle").write_bytes(first)
    await shelf.put("New")
    await shelf.document(URL, b"new")
    _, second = await shelf.export(base=tmp_path / "first.bundle")
    (tmp_path / "second.bundle").write_bytes(second)
    await shelf.put("Newer")
    _, third = await shelf.export(base=tmp_path / "second.bundle")

    for bundle in (first, second, third):
        assert [] == [*(await import_bytes(tmp_path / "other", bundle)).missing]
    assert packages(shelf.data) == packages(tmp_path / "other")
    assert len(first) > len(third)


async def test_a_receiver_that_lost_a_package_is_told(shelf, tmp_path):
    _, first = await shelf.export()
    (tmp_path / "first.bundle").write_bytes(first)
    _, second = await shelf.export(base=tmp_path / "first.bundle")
    await import_bytes(tmp_path / "other", first)
    Shelf(tmp_path / "other").path("contoso").unlink()

    imported = await import_bytes(tmp_path / "other", second)

    assert ["Contoso 1.0.0"] == [*imported.missing]


async def test_by_the_inventory_of_the_receiver(shelf, tmp_path):
    _, first = await shelf.export()
    await import_bytes(tmp_path / "other", first)
    await shelf.put("New")
    with (tmp_path / "have.jsonl").open("wb") as file:
        assert 2 == await asyncio.to_thread(write_inventory, Shelf(tmp_path / "other").config(), Pipe(file))

    _, second = await shelf.export(base=tmp_path / "have.jsonl")

    assert ["new.1.0.0.nupkg"] == [path.split("/")[-1] for path in paths_of(second) if path.endswith(".nupkg")]
    await import_bytes(tmp_path / "other", second)
    assert packages(shelf.data) == packages(tmp_path / "other")
