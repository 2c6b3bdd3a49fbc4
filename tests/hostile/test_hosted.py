"""Versions in the database that were pushed before there were limits: every answer about them stays small."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nugetproxy.hosting import leaves
from nugetproxy.hosting.leaves import HostedRegistrations
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.bounds import LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.registration import Hive
from tests.hostile.manifests import MANIFESTS, manifest
from tests.hosting.shelf import Shelf
from tests.protocol.writing import write_catalog_details, write_catalog_entry, write_index

LINKS = Links("https://packages.example.com/nuget")
HOSTILE = PackageId.parse("Contoso.Hostile")
FIRST = PackageIdentity.parse("Contoso.Hostile", "1.0.0")


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    made = Shelf(tmp_path)
    await made.stock([MANIFESTS["groups"](), manifest(version="2.0.0", description="as usual")])
    yield made
    made.close()


async def test_the_version_is_downloadable_and_in_no_list(shelf):
    versions = (await shelf.feed.versions(HOSTILE)).value
    registration = (await shelf.feed.registration(HOSTILE)).value

    index = json.loads(write_index(registration, Hive.GZ_SEMVER2, LINKS) or b"")

    assert [version.normalized for version in versions] == ["1.0.0", "2.0.0"]
    assert [leaf["catalogEntry"]["version"] for leaf in index["items"][0]["items"]] == ["2.0.0"]
    assert (await shelf.feed.leaf(FIRST)).value.version.normalized == "1.0.0"


async def test_its_catalog_says_what_is_missing(shelf):
    entry = (await shelf.feed.catalog_entry(FIRST)).value
    [item] = await shelf.events.after(0, 1)
    event = await shelf.events.find(item.stamp)
    assert event is not None
    assert event.details is not None

    for written in (
        write_catalog_entry(entry.leaf, entry.document, LINKS),
        write_catalog_details(event.item, event.details, LINKS),
    ):
        assert len(written) <= LARGEST_VERSION
        assert json.loads(written)["nugetproxy:omitted"] == ["dependencyGroups"]


async def test_it_can_be_unlisted_and_found(shelf):
    await shelf.set_listed("Contoso.Hostile 2.0.0", listed=False)

    assert await shelf.ids("contoso") == ["Contoso.Hostile"]
    await shelf.set_listed("Contoso.Hostile 1.0.0", listed=False)
    assert await shelf.ids("contoso") == []


async def test_registrations_are_kept_in_memory_by_their_size(shelf, monkeypatch):
    """
    By the number of versions, as many as fit of the usual size would be gigabytes of the largest.
    """
    monkeypatch.setattr(leaves, "_KEPT_BYTES", 100_000)
    registrations = HostedRegistrations(shelf.database)
    for name, count, length in (("contoso.small", 20, 100), ("contoso.large", 6, 20_000)):
        await shelf.stock([manifest(name, f"1.{n}.0", description="d" * length) for n in range(count)])

    found = [await registrations.find(name) for name in ("contoso.small", "contoso.large")]

    assert [len(registration.leaves) for registration in found if registration] == [20, 6]
    assert set(registrations._kept) == {"contoso.small"}
