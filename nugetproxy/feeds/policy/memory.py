"""What the policy remembers between starts: when ids and versions were first seen, what package files told, pins.

Only what a rule needs is written. A failure to write is no failure of the request: without a record, a version counts
as first seen now, and a file is read again.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nugetproxy.errors import InvalidVersion, StorageUnavailable
from nugetproxy.feeds.policy.facts import PackageFacts, SignatureState
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.storage.database.base import Database, Transaction

_SECOND: Final = 1_000_000
_THE_ID: Final = ""

_log = logger()


class PolicyMemory:
    """The tables `policy_seen`, `policy_files` and `policy_pins` of the main database. Keys are lower-case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seen(
        self, lower_id: str, versions: Iterable[NuGetVersion], now: float
    ) -> dict[NuGetVersion | None, float]:
        """When the id (under None) and each of these versions were first seen: now, for those without a record."""
        wanted = {_THE_ID: None, **{version.lower: version for version in versions}}
        known = {
            text: at / _SECOND
            for text, at in await self._database.fetch(
                "SELECT lower_version, at FROM policy_seen WHERE lower_id = ?", (lower_id,)
            )
        }
        missing = [(lower_id, text, round(now * _SECOND)) for text in wanted if text not in known]
        if missing:
            await self._write("INSERT INTO policy_seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING", missing)
        return {version: known.get(text, now) for text, version in wanted.items()}

    async def files(self, lower_id: str) -> dict[NuGetVersion, tuple[str, PackageFacts]]:
        """What is known of the package files of an id: (entity tag of the file, facts)."""
        rows = await self._database.fetch(
            "SELECT lower_version, etag, facts FROM policy_files WHERE lower_id = ?", (lower_id,)
        )
        found = {}
        for text, etag, stored in rows:
            try:
                found[NuGetVersion.parse(text)] = etag, _restored(stored)
            except (InvalidVersion, ValueError, KeyError, TypeError):
                continue  # of another release
        return found

    async def remember_file(self, package: PackageIdentity, etag: str, facts: PackageFacts) -> None:
        row = (package.lower_id, package.lower_version, etag, _stored(facts))
        await self._write(
            "INSERT INTO policy_files VALUES (?, ?, ?, ?) ON CONFLICT (lower_id, lower_version)"
            " DO UPDATE SET etag = excluded.etag, facts = excluded.facts",
            [row],
        )

    async def pins(self, lower_id: str) -> frozenset[NuGetVersion]:
        rows = await self._database.fetch("SELECT lower_version FROM policy_pins WHERE lower_id = ?", (lower_id,))
        return frozenset(NuGetVersion.parse(text) for (text,) in rows)

    async def pin(self, packages: Iterable[PackageIdentity]) -> None:
        """Record versions that a lock file names. Raises StorageUnavailable."""
        now = round(time.time() * _SECOND)
        rows = [(package.lower_id, package.lower_version, now) for package in packages]
        await self._database.write(_inserting("INSERT INTO policy_pins VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows))

    async def _write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            await self._database.write(_inserting(sql, rows))
        except StorageUnavailable as error:
            _log.warning("policy_not_written", error=str(error))


def _inserting(sql: str, rows: Sequence[tuple[object, ...]]) -> Callable[[Transaction], None]:
    def insert(transaction: Transaction) -> None:
        transaction.change_many(sql, rows)

    return insert


def _stored(facts: PackageFacts) -> str:
    told = {
        "signature": facts.signature.value,
        "why": facts.why,
        "owners": facts.owners,
        "scripts": sorted(facts.scripts),
    }
    return json.dumps(told)


def _restored(text: str) -> PackageFacts:
    told = json.loads(text)
    return PackageFacts(
        SignatureState(told["signature"]), told["why"], tuple(told["owners"]), frozenset(told["scripts"])
    )
