"""Every engine finds the same packages in the same order: one random feed in both, with random queries."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nugetproxy.hosting import search_pages
from nugetproxy.hosting.package_changes import change_package, insert_package, remove_package
from nugetproxy.hosting.packages import find_package
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.protocol.v3.search import CompletionQuery
from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.database.opening import open_main_database
from nugetproxy.storage.database.postgres import PostgresDatabase
from tests.engines.postgres import PostgresServer
from tests.hosting.full_text.corpus import completions, hostile_packages, packages, queries
from tests.hosting.house import NOON
from tests.hosting.shelf import pushed, with_listed

PACKAGES = 120
QUERIES = 120


class Engine:
    """The search of one database, and a quick way to fill it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.search = HostedSearch(database)

    async def stock(self, manifests: list[PackageManifest]) -> None:
        def work(transaction: Transaction) -> None:
            for manifest in manifests:
                self.search.index_package(transaction, insert_package(transaction, pushed(manifest), NOON // 100))

        await self.database.write(work)

    async def live(self, manifests: list[PackageManifest], choose: random.Random) -> None:
        """What happens to packages: downloads, unlisting, deletion, other owners."""

        def work(transaction: Transaction) -> None:
            for account in (1, 2):
                transaction.change(
                    "INSERT INTO accounts (account_id, name, lower_name, kind, created) VALUES (?, ?, ?, 'user', 0)",
                    (account, name := ("Alice", "json")[account - 1], name.lower()),
                )
            for manifest in manifests:
                names, act = manifest.identity, choose.random()
                found = find_package(transaction.fetch, names)
                assert found is not None
                if act < 0.1:
                    state = with_listed(found.state, listed=False)
                    self.search.index_package(transaction, change_package(transaction, names, state, NOON // 100))
                elif act < 0.2:
                    remove_package(transaction, found, burn=False, moment=NOON // 1000, now=NOON // 100)
                    self.search.forget_package(transaction, names)
                elif act < 0.7:
                    transaction.change(
                        "INSERT INTO hosted_downloads VALUES (?, ?, ?)",
                        (names.lower_id, names.lower_version, int(choose.paretovariate(0.5)) % 1_000_000),
                    )
                    self.search.downloads_counted(transaction, [names.lower_id])
                if act > 0.4:
                    for account in {1 + (act > 0.6), 1 + (act < 0.9)}:
                        transaction.change(
                            "INSERT INTO package_owners VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
                            (names.lower_id, account),
                        )
                if act > 0.9:
                    transaction.change("DELETE FROM package_owners WHERE lower_id = ?", (names.lower_id,))

        await self.database.write(work)


@pytest.fixture
async def engines(tmp_path: Path, postgres: PostgresServer, shared_database: str) -> AsyncIterator[list[Engine]]:
    opened = [Engine(open_main_database(tmp_path)), Engine(PostgresDatabase(postgres.dsn(shared_database)))]
    yield opened
    for engine in opened:
        engine.database.close()


async def test_what_is_found_does_not_depend_on_the_engine(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = list(packages(random.Random(1), PACKAGES))
    for engine in engines:
        await engine.stock([*manifests, *hostile_packages()])
        await engine.live(manifests, random.Random(1))
    await _agree(engines, QUERIES)
    # As if there were many more packages.
    monkeypatch.setattr(search_pages, "_SORTED", 5)
    monkeypatch.setattr(search_pages, "_LISTED", 8)
    await _agree(engines, QUERIES)


async def _agree(engines: list[Engine], count: int) -> None:
    choose = random.Random(count)
    found = 0
    for asked in queries(choose, count):
        here, there = [await engine.search.search(asked) for engine in engines]
        assert there.total == here.total, asked
        assert [hit.raw for hit in there.hits] == [hit.raw for hit in here.hits], asked
        found += bool(here.hits)
    assert found > count / 4, "queries that find nothing prove little"
    for completion in [*completions(choose, count // 2), CompletionQuery(None, "contoso.json")]:
        names, same_names = [await engine.search.complete(completion) for engine in engines]
        assert same_names == names, completion
