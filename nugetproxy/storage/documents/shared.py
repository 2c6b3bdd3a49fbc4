"""Documents shared by the nodes of a fleet: a table in the shared database, under the disk store of each node.

What a node reads in the ordinary way comes from its own disk. A node that is about to ask an upstream looks here first,
and leaves the answer here: so the upstream sees one request however many nodes need the document. When the database
cannot be reached, each node goes on with its own disk.

Nodes' clocks may differ, so the table has the database's time: a node says how long ago the upstream confirmed a
document, and is told the same.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from nugetproxy.errors import StorageUnavailable
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.storage.database.base import Database, Transaction
from nugetproxy.storage.documents.base import DocumentStore
from nugetproxy.storage.refusals import Refusals

_NOW: Final = "extract(epoch FROM clock_timestamp())"
_READ: Final = (
    f"SELECT CASE WHEN fetched = ?2 AND digest = ?3 THEN NULL ELSE document END, {_NOW} - confirmed, expired, fetched"  # noqa: S608 - all ours
    " FROM mirrored_documents WHERE key = ?1"
)
# A holder whose lease ran out may be late: what the upstream confirmed last stays.
_PUT: Final = (
    "INSERT INTO mirrored_documents (key, url, document, digest, fetched, confirmed, expired, size, useful_until)"  # noqa: S608 - all ours
    f" VALUES (?1, ?2, ?3, ?4, ?5, {_NOW} - ?6, ?7, ?8, {_NOW} - ?6 + ?9) ON CONFLICT (key) DO UPDATE SET"
    " document = excluded.document, digest = excluded.digest, fetched = excluded.fetched,"
    " confirmed = excluded.confirmed, expired = excluded.expired, size = excluded.size,"
    " useful_until = excluded.useful_until WHERE mirrored_documents.confirmed <= excluded.confirmed"
)
_CONFIRM: Final = (
    f"UPDATE mirrored_documents SET useful_until = useful_until + {_NOW} - ?4 - confirmed, confirmed = {_NOW} - ?4,"  # noqa: S608 - all ours
    f" expired = ?5 WHERE key = ?1 AND fetched = ?2 AND digest = ?3 AND confirmed <= {_NOW} - ?4"
)
# Seconds by which two confirmations must differ to count as different ones.
_SAME: Final = 0.001
# Documents above this size stay on the disk of the node that fetched them.
_LARGEST: Final = 64_000_000
# Rows that one transaction deletes.
_SWEPT: Final = 500


class SharedDocuments:
    """A DocumentStore over one on this node's disk. `clock` returns seconds since the epoch, as for the documents."""

    def __init__(self, local: DocumentStore, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._local = local
        self._database = database
        self._clock = clock
        self._refusals = Refusals("documents_shared_again")

    def get(self, url: str, *, skip_hot: bool = False) -> StoredResponse | None:
        """See DocumentStore: what is on this node's disk."""
        return self._local.get(url, skip_hot=skip_hot)

    @property
    def is_shared(self) -> bool:
        """See DocumentStore."""
        return True

    async def reread(self, url: str) -> StoredResponse | None:
        """See DocumentStore: the copy that the upstream confirmed last, this node's or the shared one."""
        ours = self._local.get(url, skip_hot=True)
        try:
            shared = await self._read(url, ours)
        except StorageUnavailable as error:
            self._refusals.refused("documents_not_shared", str(error))
            return ours
        if shared is None or (ours is not None and not _is_later(shared, ours)):
            return ours
        try:
            if ours is not None and (ours.fetched, ours.digest) == (shared.fetched, shared.digest):
                await self._local.confirm(shared)
            else:
                await self._local.put(shared)
        except StorageUnavailable as error:
            self._refusals.refused("document_not_kept", str(error))
        return shared

    async def put(self, stored: StoredResponse, *, useful_for: float | None = None) -> None:
        """See DocumentStore. Raises only if this node's disk does not keep it."""
        if len(stored.body) <= _LARGEST:
            await self._share(
                _PUT,
                (
                    _key(stored.url),
                    stored.url,
                    stored.to_bytes(),
                    stored.digest,
                    stored.fetched,
                    max(0.0, self._clock() - stored.confirmed),
                    int(stored.expired),
                    len(stored.body),
                    useful_for,
                ),
            )
        await self._local.put(stored, useful_for=useful_for)

    async def confirm(self, stored: StoredResponse) -> None:
        """See DocumentStore."""
        await self._share(
            _CONFIRM,
            (
                _key(stored.url),
                stored.fetched,
                stored.digest,
                max(0.0, self._clock() - stored.confirmed),
                int(stored.expired),
            ),
        )
        await self._local.confirm(stored)

    async def expire(self, starts: Sequence[str]) -> list[str]:
        """See DocumentStore. Returns those that were not expired on this node before."""
        for start in starts:
            await self._share(
                # The index has the beginnings of URLs: whole ones may be too long for it.
                "UPDATE mirrored_documents SET expired = 1 WHERE left(url, 400) >= ?1 AND left(url, 400) < ?2"
                " AND starts_with(url, ?3) AND expired = 0",
                (start[:400], start[:400] + "\U0010ffff", start),
            )
        return await self._local.expire(starts)

    async def delete(self, url: str) -> None:
        """See DocumentStore."""
        await self._share("DELETE FROM mirrored_documents WHERE key = ?", (_key(url),))
        await self._local.delete(url)

    def size_bytes(self) -> int:
        """See DocumentStore: bytes on this node's disk."""
        return self._local.size_bytes()

    async def _read(self, url: str, ours: StoredResponse | None) -> StoredResponse | None:
        known = (ours.fetched, ours.digest) if ours is not None else (0.0, "")
        rows = await self._database.fetch(_READ, (_key(url), *known))
        if not rows:
            return None
        document, age, expired, _ = rows[0]
        if document is None:
            assert ours is not None, "only a known document is left out"
            stored = ours
        else:
            try:
                stored = StoredResponse.from_bytes(bytes(document))
            except ValueError as error:
                raise StorageUnavailable(f"a shared document cannot be read: {error}") from error
            if stored.url != url:
                raise StorageUnavailable("a shared document is stored under another URL")
        return replace(stored, confirmed=self._clock() - max(0.0, float(age)), expired=bool(expired))

    async def _share(self, sql: str, parameters: Sequence[object]) -> None:
        """A failure is only reported: the documents of this node are kept on its own disk all the same."""
        try:
            await self._database.change(sql, parameters)
        except StorageUnavailable as error:
            self._refusals.refused("documents_not_shared", str(error))
        else:
            self._refusals.kept()


def _key(url: str) -> str:
    """A URL may be longer than the longest key of an index."""
    return hashlib.sha256(url.encode()).hexdigest()


def _is_later(one: StoredResponse, other: StoredResponse) -> bool:
    """Whether the upstream confirmed `one` later; if at the same time, whether only `one` is known to be outdated."""
    if abs(one.confirmed - other.confirmed) > _SAME:
        return one.confirmed > other.confirmed
    return one.expired and not other.expired


async def sweep_documents(database: Database, budget: int) -> int:
    """Delete documents that may no longer be served at all, then those confirmed longest ago, until `budget` bytes are
    left. Returns how many. Raises StorageUnavailable.
    """

    def sweep(transaction: Transaction) -> int:
        swept = transaction.change(
            "DELETE FROM mirrored_documents WHERE key IN"  # noqa: S608 - all ours
            f" (SELECT key FROM mirrored_documents WHERE useful_until < {_NOW} LIMIT ?)",
            (_SWEPT,),
        )
        return swept + transaction.change(
            "DELETE FROM mirrored_documents WHERE key IN (SELECT key FROM (SELECT key, sum(size) OVER"
            " (ORDER BY confirmed DESC, key) AS with_newer FROM mirrored_documents) AS all_of_them"
            " WHERE with_newer > ? LIMIT ?)",
            (budget, _SWEPT),
        )

    count = 0
    while step := await database.write(sweep):
        count += step
    return count
