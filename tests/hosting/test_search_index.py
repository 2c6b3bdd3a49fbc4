"""The rows of search after any history of an id: what each kind of client sees, and no leftovers."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nugetproxy.hosting.package_changes import change_package, insert_package, remove_package
from nugetproxy.hosting.packages import find_package
from nugetproxy.hosting.search_index import index_again, step
from nugetproxy.hosting.search_marks import CLASSES, PRERELEASE, SEMVER2
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Transaction
from tests.engines.main_database import IS_POSTGRES, fetched
from tests.hosting.house import NOON
from tests.hosting.shelf import Shelf, package, pushed, with_listed

VERSIONS = ["1.0.0", "1.1.0", "2.0.0", "1.0.0-a", "2.0.0-b", "2.0.0-b.1", "3.0.0-rc.1", "1.2.0+meta", "2.1.0-c+meta"]
ACTS = st.lists(
    st.tuples(st.sampled_from(["push", "unlist", "relist", "delete"]), st.sampled_from(VERSIONS)), max_size=25
)
# The numbers of the documents in each table beside search_documents.
NUMBERS = ["SELECT document FROM search_hits"] + (
    ["SELECT document FROM search_words"]
    if IS_POSTGRES
    else ["SELECT rowid FROM search_words", "SELECT rowid FROM search_names"]
)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shelf, asyncio.Runner]]:
    with asyncio.Runner() as runner:
        path: Path = tmp_path_factory.mktemp("index")

        async def opened() -> Shelf:
            return Shelf(path)

        shelf = runner.run(opened())
        yield shelf, runner
        shelf.close()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=ACTS)
def test_after_any_history_each_client_sees_the_latest(
    kept: tuple[Shelf, asyncio.Runner], acts: list[tuple[str, str]]
) -> None:
    """
    The documents equal those computed from all listed versions, and rebuilding them changes nothing.
    """
    shelf, runner = kept
    name = f"Contoso.Id{next(_numbers)}"
    listed: dict[str, bool] = {}

    def work(transaction: Transaction) -> None:
        for act, version in acts:
            _do(shelf, transaction, act, PackageIdentity.parse(name, version), listed)

    runner.run(shelf.database.write(work))
    expected = _seen({version for version, is_listed in listed.items() if is_listed})
    assert _documents(shelf, name) == expected
    runner.run(shelf.database.write(lambda transaction: index_again(transaction, name.lower())))
    assert _documents(shelf, name) == expected
    documents = {row[0] for row in fetched(shelf.database, "SELECT document FROM search_documents")}
    for numbers in NUMBERS:
        assert {row[0] for row in fetched(shelf.database, numbers)} == documents
    shown = fetched(shelf.database, "SELECT shown_to FROM search_documents")
    for asked in CLASSES:
        total = runner.run(
            shelf.found(prerelease=bool(asked & PRERELEASE), semver_level2=bool(asked & SEMVER2), take=1)
        ).total
        assert total == sum(shown_to >> asked & 1 for (shown_to,) in shown)


async def test_documents_are_numbered_by_downloads(tmp_path: Path) -> None:
    """
    The most downloaded first, whenever they were pushed or downloaded; each number is in all tables.
    """
    shelf = Shelf(tmp_path)
    try:
        await shelf.stock([package("Contoso.Few"), package("Contoso.Many"), package("Contoso.Many", "2.0.0-beta")])
        await shelf.download("Contoso.Late 1.0.0", 500)
        await shelf.download("Contoso.Many 1.0.0", 70)
        await shelf.download("Contoso.Few 1.0.0", 2)
        await shelf.stock([package("Contoso.Late"), package("Contoso.None")])
        rows = fetched(shelf.database, "SELECT lower_id, document FROM search_documents ORDER BY document")
        assert [lower_id.removeprefix("contoso.") for lower_id, _ in rows] == ["late", "many", "many", "few", "none"]
        for numbers in NUMBERS:
            assert sorted(row[0] for row in fetched(shelf.database, numbers)) == [document for _, document in rows]
        assert await shelf.ids("late") == ["Contoso.Late"]
    finally:
        shelf.close()


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [(0, 1, 4), (1, 2, 2), (2, 3, 2), (100, 101, 0), (100, 115, 1), (1000, 2001, 4), (2**70, 2**80, 0)],
)
def test_steps_of_downloads(before: int, after: int, steps: int) -> None:
    assert step(before) - step(after) == steps


def test_more_downloads_never_come_later() -> None:
    steps = [step(downloads) for downloads in (*range(3000), *(2**power for power in range(12, 90)))]
    assert steps == sorted(steps, reverse=True)
    assert (steps[0], steps[-1]) == (255, 0)


def _do(shelf: Shelf, transaction: Transaction, act: str, package_: PackageIdentity, listed: dict[str, bool]) -> None:
    version = package_.version.full
    if act == "push":
        if version not in listed:
            manifest = package(package_.id.text, version, description=f"Words of {version}")
            shelf.search.index_package(transaction, insert_package(transaction, pushed(manifest), NOON // 100))
            listed[version] = True
        return
    found = find_package(transaction.fetch, package_)
    if found is None:
        return
    if act == "delete":
        remove_package(transaction, found, burn=False, moment=NOON // 1000, now=NOON // 100)
        shelf.search.forget_package(transaction, package_)
        del listed[version]
    else:
        listed[version] = act == "relist"
        state = with_listed(found.state, listed[version])
        shelf.search.index_package(transaction, change_package(transaction, package_, state, NOON // 100))


def _seen(listed: set[str]) -> dict[int, str]:
    """The latest version for each kind of client."""
    seen = {}
    for asked in CLASSES:
        versions = [
            version
            for version in map(NuGetVersion.parse, listed)
            if (asked & PRERELEASE or not version.is_prerelease) and (asked & SEMVER2 or not version.is_semver2)
        ]
        if versions:
            seen[asked] = max(versions).lower
    return seen


def _documents(shelf: Shelf, name: str) -> dict[int, str]:
    rows = fetched(
        shelf.database,
        "SELECT shown_to, lower_version, hit FROM search_documents JOIN search_hits USING (document)"
        " WHERE lower_id = ?",
        (name.lower(),),
    )
    assert all(f'"Words of {version}' in hit for _, version, hit in rows if "+" not in hit)
    return {asked: version for shown_to, version, _ in rows for asked in CLASSES if shown_to & 1 << asked}
