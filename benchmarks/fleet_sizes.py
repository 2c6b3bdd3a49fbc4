"""What packages and documents take in PostgreSQL."""

import asyncio
import json
import time
from typing import Final

from benchmarks.fleet_engines import Engines
from benchmarks.private import Request, asked, manifest_of
from nugetproxy.accounts.directory import Directory
from nugetproxy.accounts.ownership import Ownership
from nugetproxy.hosting.events import packed
from nugetproxy.hosting.package_changes import PushedPackage, insert_package
from nugetproxy.hosting.search import HostedSearch
from nugetproxy.protocol.v3.catalog import PackageEntry
from nugetproxy.storage.blobs.base import BlobKey
from nugetproxy.storage.database.base import Transaction
from nugetproxy.storage.database.postgres import PostgresDatabase, bring_up_to_date
from nugetproxy.storage.revisions import Revisions

_IDS: Final = 200
_VERSIONS: Final = 10
_FILES: Final = 20
_GROUPS: Final = {
    "hosted versions": ("hosted_pushes", "hosted_packages", "hosted_events", "search_versions"),
    "search, of each id": ("search_documents", "search_hits", "search_words"),
    "documents of upstreams": ("mirrored_documents",),
    "mirrored packages": ("shared_packages",),
}


def measure(all_of: Engines, upstream: str, plan: list[Request]) -> str:
    """A table, as Markdown. `plan` is what a restore requests."""
    database = all_of.postgres.create_database()
    bring_up_to_date(all_of.postgres.dsn(database))
    asyncio.run(_seed(all_of.postgres.dsn(database)))
    with all_of.feed("", 1, upstream, key=False) as feed:
        asked(feed.nodes[0].base, [plan])
        time.sleep(3)
        lines = ["| rows | number | bytes of each, with indexes |", "| --- | --- | --- |"]
        for what, tables in _GROUPS.items():
            where = database if tables[0].startswith(("hosted", "search")) else feed.database
            all_of.postgres.execute("VACUUM ANALYZE", where)
            [(rows,)] = all_of.postgres.fetch(f"SELECT count(*) FROM {tables[0]}", where)
            whole = " + ".join(f"pg_total_relation_size('{table}')" for table in tables)
            [(size,)] = all_of.postgres.fetch(f"SELECT {whole}", where)
            lines.append(f"| {what} | {rows:,} | {size / max(1, rows):,.0f} |")
    return "\n".join(["**Sizes**", "", *lines, "", json.dumps({"ids": _IDS, "versions": _VERSIONS})])


async def _seed(dsn: str) -> None:
    database, revisions = PostgresDatabase(dsn), Revisions(None)
    directory = Directory(database, revisions)
    ownership = Ownership(database, revisions)
    search = HostedSearch(database, ownership.verified_among)
    owner = await directory.add_user("alice", administrator=True)
    entries = packed(tuple(PackageEntry(f"lib/net8.0/Contoso.Part{n}.dll", 90_000, 40_000) for n in range(_FILES)))
    tick = time.time_ns() // 100
    for number in range(_IDS * _VERSIONS):

        def work(transaction: Transaction, number: int = number) -> None:
            manifest = manifest_of(f"Contoso.Storage.Part{number % _IDS:05}", f"1.{number // _IDS}.0")
            names = manifest.identity
            key = BlobKey.of("packages", names.lower_id, names.lower_version, f"{number:032x}-{number:08x}.nupkg")
            pushed = PushedPackage(manifest, entries, 300_000, "x" * 88, "x" * 88, key, tick // 10 + number)
            search.index_package(transaction, insert_package(transaction, pushed, tick + number))
            if number < _IDS:
                ownership.add_first_owner(transaction, names.lower_id, owner.account_id)

        await database.write(work)
    directory.close()
    database.close()
    revisions.close()
