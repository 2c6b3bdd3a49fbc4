"""The view of kept packages: listed versions can be downloaded, and the upstream's statements are shown unchanged."""

import os
from pathlib import Path
from typing import cast

import pytest

from nugetproxy.feeds.base import LocalFile
from nugetproxy.mirroring.downloads.mirrored_downloads import MirroredDownloads
from nugetproxy.mirroring.kept.inventory import Inventory, KeptPackage, open_ledger
from nugetproxy.mirroring.kept.view import KeptPackages, StatedLeaves
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.builders import make_nuspec
from tests.fakes.feed import a_leaf


class Tree:
    """Kept packages, with the interface of MirroredDownloads; counts how often an id's folder is listed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listed = 0
        self.elsewhere: dict[str, Inventory] = {}
        """Versions that another node has, with the inventory to add them to when they are brought here."""

    def add(self, inventory: Inventory, package_id: str, version: str, **nuspec: str) -> None:
        lower = package_id.lower()
        place = self.folder / lower / version.lower()
        place.mkdir(parents=True)
        content = make_nuspec(package_id, version, **nuspec)  # type: ignore[arg-type]  # texts only
        (place / f"{lower}.nuspec").write_bytes(content)
        (place / "package").write_bytes(b"zip")
        for each in place.iterdir():
            os.utime(each, ns=(1, 1))
        inventory.add(KeptPackage("up", read_nuspec(content), 3, "hash", 0))

    def find(self, upstream: str, package: PackageIdentity) -> LocalFile | None:
        path = self.folder / package.lower_id / package.lower_version / "package"
        return LocalFile(path, 3, 1_700_000_000, "etag") if path.exists() else None

    def kept_versions(self, upstream: str, lower_id: str) -> tuple[str, ...]:
        self.listed += 1
        folder = self.folder / lower_id
        return tuple(path.name for path in folder.iterdir()) if folder.is_dir() else ()

    async def versions_in_fleet(self, upstream: str, lower_id: str) -> tuple[str, ...]:
        return (*self.kept_versions(upstream, lower_id), *self.elsewhere)

    async def bring(self, package: PackageIdentity) -> LocalFile | None:
        inventory = self.elsewhere.pop(package.lower_version, None)
        if inventory is not None:
            self.add(inventory, package.id.text, package.lower_version, description="From another node.")
        return self.find("up", package)


@pytest.fixture
def inventory(tmp_path: Path):
    ledger = open_ledger(tmp_path / "inventory.db")
    yield Inventory(ledger)
    ledger.close()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


@pytest.fixture
def kept(tree: Tree, inventory: Inventory) -> KeptPackages:
    return KeptPackages("up", cast(MirroredDownloads, tree), inventory, tree.bring)


async def settle(inventory: Inventory) -> None:
    """Entries are written in the background; this waits for pending ones."""
    await inventory._database.write(lambda _: None)


def stating(*leaves: Leaf) -> StatedLeaves:
    async def stated(_: PackageId) -> list[Leaf]:
        return list(leaves)

    return stated


nothing_stated = stating()


UTILS = PackageId.parse("Contoso.Utils")


class TestVersions:
    def test_ascend_by_precedence_and_skip_what_is_no_version(self, kept, tree, inventory):
        for version in ("1.10.0", "1.9.0", "1.9.0-beta"):
            tree.add(inventory, "Contoso.Utils", version)
        (tree.folder / "contoso.utils" / "made-by-hand").mkdir()

        assert [str(version) for version in kept.versions(UTILS)] == ["1.9.0-beta", "1.9.0", "1.10.0"]

    def test_of_an_unknown_id_are_none(self, kept):
        assert kept.versions(UTILS) == ()


class TestRegistration:
    async def test_takes_stated_leaves_as_they_are_and_leaves_out_what_is_not_kept(self, kept, tree, inventory):
        tree.add(inventory, "Contoso.Utils", "1.0.0")
        stated = [a_leaf("Contoso.Utils", "1.0.0"), a_leaf("Contoso.Utils", "2.0.0")]

        registration = await kept.registration(UTILS, stating(*stated))

        assert registration.leaves == (stated[0],)

    async def test_describes_a_version_without_a_statement_by_its_own_nuspec(self, kept, tree, inventory):
        tree.add(inventory, "Contoso.Utils", "1.0.0", description="By its author.")

        leaf = (await kept.registration(UTILS, nothing_stated)).find(NuGetVersion.parse("1.0.0"))

        assert (leaf.entry["description"], leaf.listed) == ("By its author.", True)
        assert leaf.entry["published"].startswith("2023-11-14T")

    async def test_has_what_other_nodes_keep(self, kept, tree, inventory):
        """
        A version without a statement is brought here, to be described by its own nuspec.
        """
        tree.add(inventory, "Contoso.Utils", "1.0.0")
        tree.elsewhere = {"1.1.0": inventory, "2.0.0": inventory}
        stated = a_leaf("Contoso.Utils", "1.1.0")

        first, second, third = (await kept.registration(UTILS, stating(stated))).leaves

        assert (str(first.version), second) == ("1.0.0", stated)
        assert third.entry["description"] == "From another node."
        assert list(tree.elsewhere) == ["1.1.0"]

    async def test_passes_over_a_version_whose_nuspec_is_broken(self, kept, tree, inventory):
        tree.add(inventory, "Contoso.Utils", "1.0.0")
        tree.add(inventory, "Contoso.Utils", "2.0.0")
        (tree.folder / "contoso.utils" / "2.0.0" / "contoso.utils.nuspec").write_bytes(b"<not")

        assert [str(leaf.version) for leaf in (await kept.registration(UTILS, nothing_stated)).leaves] == ["1.0.0"]

    async def test_of_an_unknown_id_is_none(self, kept):
        assert (await kept.registration(UTILS, stating(a_leaf("Contoso.Utils", "1.0.0")))) is None


class TestSearch:
    async def test_finds_words_of_the_nuspec(self, kept, tree, inventory):
        tree.add(inventory, "Contoso.Utils", "1.0.0", tags="parsing json")
        tree.add(inventory, "Other", "1.0.0")
        await settle(inventory)

        page = await kept.search(SearchQuery(text="JSON"), nothing_stated)

        assert [hit.id for hit in page.hits] == ["Contoso.Utils"]

    async def test_hides_what_the_upstream_unlisted(self, kept, tree, inventory):
        tree.add(inventory, "Contoso.Utils", "1.0.0")
        await settle(inventory)
        leaf = a_leaf("Contoso.Utils", "1.0.0")
        unlisted = Leaf(leaf.version, leaf.package_id, False, leaf.is_semver2, leaf.raw)

        assert (await kept.search(SearchQuery(), stating(unlisted))).hits == ()

    async def test_pages_add_up(self, kept, tree, inventory):
        for number in range(7):
            tree.add(inventory, f"P{number}", "1.0.0")
        await settle(inventory)

        pages = [await kept.search(SearchQuery(skip=skip, take=3), nothing_stated) for skip in (0, 3, 6, 9)]

        assert [hit.id for page in pages for hit in page.hits] == [f"P{number}" for number in range(7)]
        assert {page.total for page in pages} == {7}

    async def test_reads_no_more_ids_than_the_page_needs(self, kept, tree, inventory):
        """
        A hundred thousand kept ids must not block the server for one search.
        """
        for number in range(30):
            tree.add(inventory, f"P{number}", "1.0.0")
        await settle(inventory)

        page = await kept.search(SearchQuery(take=5), nothing_stated)

        assert (page.total, tree.listed) == (30, 5)

    async def test_exact_ids_come_first(self, kept, tree, inventory):
        for name in ("A.Json.Tool", "Json.Extra", "Json"):
            tree.add(inventory, name, "1.0.0")
        await settle(inventory)

        assert [hit.id for hit in (await kept.search(SearchQuery(text="json"), nothing_stated)).hits] == [
            "Json", "Json.Extra", "A.Json.Tool",
        ]  # fmt: skip


class TestComplete:
    async def test_ids_by_their_beginning(self, kept, tree, inventory):
        for name in ("Contoso.Base", "Contoso.Utils", "Other"):
            tree.add(inventory, name, "1.0.0")
        await settle(inventory)

        page = await kept.complete(CompletionQuery(text="CONTOSO", take=1, skip=1), nothing_stated)

        assert (page.total, page.values) == (2, ("Contoso.Utils",))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, ("1.0.0",)),
            ({"prerelease": True}, ("1.0.0", "2.0.0-rc")),
            ({"prerelease": True, "semver_level2": True}, ("1.0.0", "2.0.0-rc", "2.0.0-rc.1")),
        ],
    )
    async def test_versions_as_the_query_may_see_them(self, kept, tree, inventory, query, expected):
        for version in ("1.0.0", "2.0.0-rc", "2.0.0-rc.1"):
            tree.add(inventory, "Contoso.Utils", version)

        page = await kept.complete(CompletionQuery(package_id="Contoso.Utils", **query), nothing_stated)

        assert page.values == expected
