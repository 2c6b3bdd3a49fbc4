"""The private packages as a Feed: what is shown of them, and how fresh it is."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from nugetproxy.errors import (
    DocumentNotFound,
    PackageNotFound,
    PartNotFound,
    StorageUnavailable,
    VersionNotFound,
)
from nugetproxy.feeds.base import LocalFile, Part, SmallContent
from nugetproxy.hosting import leaves
from nugetproxy.hosting.packages import HostedPackage
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.protocol.v3.registration import Hive, Leaf
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from nugetproxy.storage.database.base import Fetch, Rows
from nugetproxy.storage.revisions import Change
from tests.builders import make_nupkg, make_nuspec
from tests.engines.main_database import only_sqlite
from tests.hosting.house import House
from tests.protocol.urls import foreign_urls
from tests.protocol.writing import write_catalog_entry, write_index

UTILS = PackageId.parse("contoso.UTILS")
ONE = PackageIdentity.parse("contoso.utils", "1.0")
LINKS = Links("https://ours.example")
HERE = "192.0.2.1"


async def with_versions(house: House, *versions: str) -> None:
    alice = await house.actor()
    for version in versions:
        await house.push(alice, version=version)


async def entries(house: House) -> list[dict[str, object]]:
    return [leaf.entry for leaf in (await house.feed.registration(UTILS)).value.leaves]


def leaves_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that leaves are created for, from now on."""
    made: list[str] = []
    original = leaves.leaf_of

    def leaf_of(package: HostedPackage) -> Leaf:
        made.append(str(package.identity))
        return original(package)

    monkeypatch.setattr(leaves, "leaf_of", leaf_of)
    return made


async def test_versions_are_ascending_whatever_the_order_of_pushes(house: House) -> None:
    await with_versions(house, "10.0.0", "2.0.0", "2.0.0-rc.1")
    assert [str(version) for version in (await house.feed.versions(UTILS)).value] == ["2.0.0-rc.1", "2.0.0", "10.0.0"]


async def test_answers_say_that_they_are_hosted(house: House) -> None:
    await with_versions(house, "1.0.0")
    for answer in (
        await house.feed.versions(UTILS),
        await house.feed.leaf(ONE),
        await house.feed.content(ONE, Part.NUPKG),
        await house.feed.search(SearchQuery()),
    ):
        assert (answer.provenance.outcome, answer.provenance.detail) == (Outcome.HIT, "hosted")


async def test_unlisted_versions_are_in_the_list_and_dated_1900(house: House) -> None:
    await with_versions(house, "1.0.0", "2.0.0")
    published = (await entries(house))[0]["published"]
    alice = await house.actor()
    await house.publish.unlist(alice, ONE, address=HERE)
    entry = (await entries(house))[0]
    assert (entry["listed"], entry["published"]) == (False, "1900-01-01T00:00:00+00:00")
    assert len((await house.feed.versions(UTILS)).value) == 2
    assert isinstance((await house.feed.content(ONE, Part.NUPKG)).value, LocalFile)
    await house.publish.relist(alice, ONE, address=HERE)
    assert (await entries(house))[0]["published"] == published


async def test_a_deprecation_is_in_the_semver2_hive_alone(house: House) -> None:
    await with_versions(house, "1.0.0")
    old = Deprecation(("Legacy", "Other"), "m", "Contoso.New")
    await house.publish.deprecate(await house.actor(), UTILS, [ONE.version], old, address=HERE)
    registration = (await house.feed.registration(UTILS)).value
    shown = []
    for hive in Hive:
        body = write_index(registration, hive, LINKS)
        assert body is not None
        shown.append("deprecation" in orjson.loads(body)["items"][0]["items"][0]["catalogEntry"])
    assert shown == [hive.has_semver2 for hive in Hive]


async def test_a_registration_carries_the_commit_of_its_newest_leaf(house: House) -> None:
    await with_versions(house, "2.0.0", "1.0.0")
    registration = (await house.feed.registration(UTILS)).value
    newest = (await house.events.after(0, 10))[-1]
    assert registration.raw["commitId"] == newest.commit_id
    assert registration.leaves[0].raw["commitId"] == newest.commit_id


async def test_a_change_by_another_process_is_seen_immediately(house: House, other: House) -> None:
    await with_versions(house, "1.0.0")
    assert len((await house.feed.versions(UTILS)).value) == 1
    await with_versions(other, "2.0.0")
    assert len((await house.feed.versions(UTILS)).value) == 2
    await other.publish.unlist(await other.actor(), ONE, address=HERE)
    assert [entry["listed"] for entry in await entries(house)] == [False, True]
    root = await other.actor("root", administrator=True)
    await other.publish.delete(root, ONE, address=HERE)
    assert [entry["version"] for entry in await entries(house)] == ["2.0.0"]


async def test_a_hot_registration_is_one_object(house: House) -> None:
    await with_versions(house, "1.0.0")
    first, again = [(await house.feed.registration(UTILS)).value for _ in range(2)]
    assert first is again


async def test_after_a_push_only_the_new_leaf_is_built(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The next registration of an id with thousands of versions must not build thousands of leaves.
    """
    await with_versions(house, *(f"1.0.{number}" for number in range(70)))
    made = leaves_made(monkeypatch)
    await house.feed.registration(UTILS)
    assert len(made) == 70
    await with_versions(house, "2.0.0")
    assert len((await house.feed.registration(UTILS)).value.leaves) == 71
    assert made[70:] == ["Contoso.Utils 2.0.0"]


async def test_many_requests_for_a_cold_registration_build_it_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_versions(house, "1.0.0")
    made = leaves_made(monkeypatch)
    await asyncio.gather(*(house.feed.registration(UTILS) for _ in range(20)))
    assert len(made) == 1


async def test_the_package_is_a_file_with_a_tag_derived_from_its_content(house: House, other: House) -> None:
    await with_versions(house, "1.0.0")
    one, two = [(await each.feed.content(ONE, Part.NUPKG)).value for each in (house, other)]
    assert one == two
    assert isinstance(one, LocalFile)
    assert one.path.stat().st_size == one.size


async def test_parts_are_read_from_the_package(house: House) -> None:
    package = make_nupkg(readme="# Hello", icon=b"\x89PNG\r\n\x1a\n", license="Do.")
    await house.publish.push(await house.actor(), house.spool(package), address=HERE)
    found = {}
    for part in (Part.NUSPEC, Part.README, Part.ICON, Part.LICENSE):
        content = (await house.feed.content(ONE, part)).value
        assert isinstance(content, SmallContent)
        found[part] = (content.body, content.content_type)
    nuspec = make_nuspec(readme="README.md", icon="images/icon.png", license_file="LICENSE.txt")
    assert found[Part.NUSPEC] == (nuspec, "text/xml")
    assert found[Part.README] == (b"# Hello", "text/markdown; charset=utf-8")
    assert found[Part.ICON] == (b"\x89PNG\r\n\x1a\n", "image/png")
    assert found[Part.LICENSE] == (b"Do.", "text/plain; charset=utf-8")


async def test_a_missing_part(house: House) -> None:
    await with_versions(house, "1.0.0")
    with pytest.raises(PartNotFound):
        await house.feed.content(ONE, Part.ICON)


async def test_a_lost_file_is_our_failure_and_not_an_absence(house: House) -> None:
    """
    A 404 would send the client to another source, or make it give up.
    """
    await with_versions(house, "1.0.0")
    house.files()[0].unlink()
    for part in (Part.NUPKG, Part.NUSPEC):
        with pytest.raises(StorageUnavailable):
            await house.feed.content(ONE, part)


async def test_the_catalog_entry_has_hash_and_size(house: House) -> None:
    await with_versions(house, "1.0.0")
    entry = (await house.feed.catalog_entry(ONE)).value
    document = orjson.loads(write_catalog_entry(entry.leaf, entry.document, LINKS))
    found = await house.packages.find(ONE)
    assert found is not None
    assert (document["packageHash"], document["packageSize"]) == (found.sha512, found.size)
    assert [each["fullName"] for each in document["packageEntries"]] == ["Contoso.Utils.nuspec"]
    assert foreign_urls(document, "https://ours.example") == []


async def test_unknown_ids_and_versions_differ(house: House) -> None:
    await with_versions(house, "1.0.0")
    other = PackageIdentity.parse("contoso.other", "1.0.0")
    nine = PackageIdentity(UTILS, NuGetVersion.parse("9.0.0"))
    for ask in (house.feed.leaf, house.feed.catalog_entry, lambda package: house.feed.content(package, Part.NUPKG)):
        with pytest.raises(PackageNotFound):
            await ask(other)
        with pytest.raises(VersionNotFound):
            await ask(nine)
    with pytest.raises(PackageNotFound):
        await house.feed.versions(other.id)


async def test_an_id_that_lost_all_versions_stays_ours(house: House) -> None:
    await with_versions(house, "1.0.0")
    await house.publish.delete(await house.actor("root", administrator=True), ONE, address=HERE)
    with pytest.raises(
        VersionNotFound, match=r"^package 'contoso\.UTILS' has no versions any more: all of them were deleted$"
    ):
        await house.feed.registration(UTILS)
    assert await house.feed.known_among(["contoso.utils", "contoso.other"]) == {"contoso.utils"}


async def test_searches_are_left_to_the_index(house: House) -> None:
    assert (await house.feed.search(SearchQuery(text="x"))).value.hits[0].raw == {"q": "x"}
    assert (await house.feed.complete(CompletionQuery(text="x"))).value.values == ("Contoso.Utils",)
    assert (await house.feed.search(SearchQuery(skip=4000))).value.total == 0


async def test_nothing_is_vouched_for(house: House) -> None:
    offered = await house.feed.offered()
    assert (offered.vulnerabilities, offered.repository_signatures) == (False, False)
    for ask in (house.feed.vulnerabilities, house.feed.signatures, lambda: house.feed.certificate("ab")):
        with pytest.raises(DocumentNotFound):
            await ask()


@only_sqlite
async def test_an_id_of_thousands_of_versions_is_paged(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Inserted without files: this checks that pages are split, and that a hot answer reads one number.
    """
    await with_versions(house, "1.0.0")

    def enter(connection: sqlite3.Connection) -> None:
        connection.executescript(
            """
            WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3600)
            INSERT INTO hosted_pushes SELECT i, lower_id, '1.0.' || i, package_id, '1.0.' || i,
                replace(manifest, '"1.0.0"', '"1.0.' || i || '"'), entries, size, sha512, content_hash, blob || i,
                pushed
            FROM hosted_pushes, n WHERE push = 1;
            INSERT INTO hosted_events SELECT push, (SELECT max(stamp) FROM hosted_events) + push, commit_id || push,
                'details', p.lower_id, push, 1, pushed, pushed, NULL
            FROM hosted_pushes AS p, (SELECT commit_id FROM hosted_events) WHERE push > 1;
            INSERT INTO hosted_packages SELECT lower_id, lower_version, push, 1, pushed, pushed, NULL, push
            FROM hosted_pushes WHERE push > 1;
            """
        )

    connection = sqlite3.connect(tmp_path / "nugetproxy.db")
    enter(connection)
    connection.close()
    registration = (await house.feed.registration(UTILS)).value
    assert (registration.count, len(registration.pages)) == (3600, 57)
    asked: list[str] = []
    _count_queries(house, asked, monkeypatch)
    assert (await house.feed.registration(UTILS)).value is registration
    assert asked == []
    house.revisions.bump(Change.of_hosting(UTILS.lower))  # of another id of the group, for example
    assert (await house.feed.registration(UTILS)).value is registration
    assert len(asked) == 2  # whether it is ours, and whether it has changed


async def test_of_an_id_that_is_not_ours_the_database_is_asked_once(house, monkeypatch):
    asked: list[str] = []
    _count_queries(house, asked, monkeypatch)
    for ask in (house.feed.versions, house.feed.registration, house.feed.complete_registration):
        with pytest.raises(PackageNotFound):
            await ask(UTILS)
    for number in range(3):
        with pytest.raises(PackageNotFound):
            await house.feed.content(PackageIdentity(UTILS, NuGetVersion.parse(f"{number}.0.0")), Part.NUPKG)
    assert len(asked) == 1


async def test_an_id_is_ours_as_soon_as_it_was_pushed(house):
    with pytest.raises(PackageNotFound):
        await house.feed.versions(UTILS)

    await with_versions(house, "1.0.0")

    assert [version.full for version in (await house.feed.versions(UTILS)).value] == ["1.0.0"]


async def test_a_push_of_another_id_does_not_make_an_id_unknown(house, monkeypatch):
    with pytest.raises(PackageNotFound):
        await house.feed.versions(PackageId.parse("Contoso.Other"))
    asked: list[str] = []
    await with_versions(house, "1.0.0")
    _count_queries(house, asked, monkeypatch)
    with pytest.raises(PackageNotFound):
        await house.feed.versions(PackageId.parse("Contoso.Other"))
    assert asked == []


@pytest.mark.parametrize(
    ("what", "queries"), [("versions", 0), ("registration", 0), ("leaf", 1), ("nupkg", 1), ("nuspec", 1)]
)
async def test_an_answer_costs_one_query_or_none(house, monkeypatch, what, queries):
    await with_versions(house, "1.0.0")
    ask = {
        "versions": lambda: house.feed.versions(UTILS),
        "registration": lambda: house.feed.registration(UTILS),
        "leaf": lambda: house.feed.leaf(ONE),
        "nupkg": lambda: house.feed.content(ONE, Part.NUPKG),
        "nuspec": lambda: house.feed.content(ONE, Part.NUSPEC),
    }[what]
    await ask()
    asked: list[str] = []
    _count_queries(house, asked, monkeypatch)
    await ask()
    assert len(asked) == queries


async def test_where_nothing_may_be_remembered_a_registration_costs_one_query(house, monkeypatch):
    await with_versions(house, "1.0.0")
    registrations = leaves.HostedRegistrations(house.database)
    first = await registrations.find(UTILS.lower)
    asked: list[str] = []
    _count_queries(house, asked, monkeypatch)
    assert await registrations.find(UTILS.lower) is first
    assert len(asked) == 1


async def test_of_many_ids_the_unknown_are_asked_about_in_one_query(house, monkeypatch):
    await with_versions(house, "1.0.0")
    asked: list[str] = []
    _count_queries(house, asked, monkeypatch)
    ids = [f"contoso.n{number}" for number in range(1000)]
    for _ in range(2):
        assert await house.feed.known_among([*ids, "contoso.utils"]) == {"contoso.utils"}
    assert len(asked) == 1


def _count_queries(house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fetch, look = house.database.fetch, house.database.look

    async def counted(sql: str, parameters: Sequence[object] = ()) -> Rows:
        asked.append(sql)
        return await fetch(sql, parameters)

    async def counted_look(work: Callable[[Fetch], Any]) -> Any:
        def counting(given: Fetch) -> Any:
            def fetched(sql: str, parameters: Sequence[object]) -> Rows:
                asked.append(sql)
                return given(sql, parameters)

            return work(fetched)

        return await look(counting)

    monkeypatch.setattr(house.database, "fetch", counted)
    monkeypatch.setattr(house.database, "look", counted_look)
