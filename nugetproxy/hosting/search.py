"""HostedSearch: finds hosted packages with the full-text index of the database, and maintains the index.

`search_match` decides what a text matches, `search_tokens` how texts are cut, `search_index` writes the rows,
`search_pages` finds a page, and `full_text` has what differs between engines. Reading takes milliseconds when there are
many matches, so it runs beside the event loop. Nothing is cached in memory: what one process pushes is found by all.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from nugetproxy.hosting.full_text.choice import full_text
from nugetproxy.hosting.packages import HostedPackage
from nugetproxy.hosting.search_index import RULES, forget_package, index_again, index_package, put_in_order, queries_of
from nugetproxy.hosting.search_marks import class_of
from nugetproxy.hosting.search_match import asked_by, completed_by, readable
from nugetproxy.hosting.search_pages import Document, page_completed, page_found
from nugetproxy.logs import logger
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.protocol.v3.search import CompletionPage, CompletionQuery, SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.search_terms import search_terms
from nugetproxy.storage.database.base import Database, Fetch, Query, Transaction
from nugetproxy.storage.database.lists import listed, padded

_log = logger()

# Ids whose rows are rebuilt in one transaction: others need to write in between.
_ANEW_AT_ONCE: Final = 25

MOST_VERSIONS: Final = 100_000
"""Of all hits of one page together. If there are more, each hit shows its newest."""

_VERSIONS: Final = (
    "SELECT v.lower_id, v.version, coalesce(d.downloads, 0) FROM search_versions AS v"
    " LEFT JOIN hosted_downloads AS d ON d.lower_id = v.lower_id AND d.lower_version = v.lower_version"
    " WHERE v.lower_id IN {ids} AND v.needs & ? = 0"
)
_NEWEST: Final = (
    "AND v.precedence > coalesce((SELECT n.precedence FROM search_versions AS n WHERE n.lower_id = v.lower_id"
    " AND n.needs & ? = 0 ORDER BY n.precedence DESC LIMIT 1 OFFSET ?), ?)"
)
_LEAST: Final = b""  # sorts before the precedence of any version


VerifiedAmong = Callable[[Iterable[str]], Awaitable[frozenset[str]]]


class HostedSearch:
    """The search of one database: implements Publish's SearchIndex and HostedFeed's Search.

    Reads may raise StorageUnavailable.
    """

    def __init__(self, database: Database, verified_among: VerifiedAmong | None = None) -> None:
        """`verified_among` selects the lower ids with the check mark, None if there are none."""
        self._database = database
        self._texts = full_text(database.dialect)
        self._verified_among = verified_among

    # --- the index ----------------------------------------------------------------------------------------------------

    def queries_of(self, lower_id: str) -> tuple[Query, ...]:
        """What `index_package` will ask about an id."""
        return queries_of(lower_id)

    def index_package(self, transaction: Transaction, package: HostedPackage) -> None:
        """The version is new, or its state has changed. Part of the caller's transaction."""
        index_package(transaction, package)

    def forget_package(self, transaction: Transaction, package: PackageIdentity) -> None:
        """The version is gone. Part of the caller's transaction."""
        forget_package(transaction, package)

    def downloads_counted(self, transaction: Transaction, lower_ids: Iterable[str]) -> None:
        """The download counts of these ids have changed. Part of the caller's transaction."""
        put_in_order(transaction, lower_ids)

    async def catch_up(self) -> int:
        """Rebuild rows that are missing or follow older rules; returns the number of ids. Resumes where it stopped.

        Meanwhile searches find what has been indexed. Several processes may do it together.
        """
        count = 0
        done = "SELECT 1 FROM search_state WHERE rules = ? AND reached IS NULL"
        while not await self._database.fetch(done, (RULES,)):
            count += await self._database.write(_make_some_anew)
        if count:
            _log.info("search_index_made", ids=count, rules=RULES)
        return count

    # --- search -------------------------------------------------------------------------------------------------------

    async def search(self, query: SearchQuery) -> SearchPage:
        """The listed packages that match a text: the most relevant first, then the most downloaded.

        Each id once, as the latest version that the query's flags show. `total` counts all matches. If there are
        many, packages with similar downloads come in arbitrary order, which stays the same from page to page.
        """
        terms = search_terms(readable(query.text))

        def work(fetch: Fetch) -> SearchPage:
            accounts = _account_ids(fetch, [*terms.words, *terms.fields.get("owners", ())])
            total, documents = page_found(fetch, self._texts, query, asked_by(terms, accounts))
            return SearchPage(total, _hits(fetch, query, documents))

        page = await self._database.read(work)
        shown = {lower_invariant(hit.id) for hit in page.hits}
        verified = await self._verified_among(shown) if shown and self._verified_among is not None else frozenset()
        for hit in page.hits:
            hit.raw["verified"] = lower_invariant(hit.id) in verified
        return page

    async def complete(self, query: CompletionQuery) -> CompletionPage:
        """Ids, those that begin with the text first, then the most downloaded; or the listed versions of an id."""
        if query.asks_versions:
            return await self._database.read(lambda fetch: CompletionPage(None, _versions(fetch, query)))
        text = readable(query.text or "")

        def work(fetch: Fetch) -> CompletionPage:
            total, documents = page_completed(
                fetch, self._texts, query, completed_by(text), lower_invariant(text.strip())
            )
            return CompletionPage(total, tuple(document.shown["id"] for document in documents))

        return await self._database.read(work)


def _hits(fetch: Fetch, query: SearchQuery, documents: Sequence[Document]) -> tuple[SearchHit, ...]:
    if not documents:
        return ()
    ids, hidden = padded(document.lower_id for document in documents), _hidden(query)
    versions: dict[str, list[dict[str, Any]]] = {document.lower_id: [] for document in documents}
    of_ids = _VERSIONS.format(ids=listed(ids))
    in_order = "ORDER BY v.lower_id, v.precedence"
    rows = fetch(f"{of_ids} {in_order} LIMIT ?", (*ids, hidden, MOST_VERSIONS + 1))
    if len(rows) > MOST_VERSIONS:
        newest = MOST_VERSIONS // len(documents)
        rows = fetch(f"{of_ids} {_NEWEST} {in_order}", (*ids, hidden, hidden, newest, _LEAST))
    for lower_id, version, downloads in rows:
        versions[lower_id].append({"version": version, "downloads": downloads})
    owners: dict[str, list[str]] = {document.lower_id: [] for document in documents}
    for lower_id, name in fetch(
        f"SELECT p.lower_id, a.name FROM package_owners AS p JOIN accounts AS a USING (account_id)"  # noqa: S608  parameters
        f" WHERE p.lower_id IN {listed(ids)} ORDER BY a.lower_name",
        ids,
    ):
        owners[lower_id].append(name)
    hits = []
    for document in documents:
        raw = document.shown
        if not query.semver_level2:
            raw.pop("deprecation", None)  # clients from before SemVer 2 predate deprecations
        raw["totalDownloads"] = document.downloads
        raw["owners"] = owners[document.lower_id]
        raw["versions"] = versions[document.lower_id]
        hits.append(SearchHit(raw["id"], raw))
    return tuple(hits)


def _versions(fetch: Fetch, query: CompletionQuery) -> tuple[str, ...]:
    rows = fetch(
        "SELECT version FROM search_versions WHERE lower_id = ? AND needs & ? = 0 ORDER BY precedence",
        (readable(lower_invariant(query.package_id or "")), _hidden(query)),
    )
    return tuple(row[0] for row in rows)


def _hidden(query: SearchQuery | CompletionQuery) -> int:
    """The needs that exclude a version from the answer."""
    return ~class_of(prerelease=query.prerelease, semver_level2=query.semver_level2)


def _account_ids(fetch: Fetch, names: Iterable[str]) -> dict[str, int]:
    """The accounts that the words name, by lower name."""
    lowered = padded(name.lower() for name in names)
    if lowered == (None,):
        return {}
    return dict(
        fetch(
            f"SELECT lower_name, account_id FROM accounts WHERE lower_name IN {listed(lowered)}",  # noqa: S608  parameters
            lowered,
        )
    )


def _make_some_anew(transaction: Transaction) -> int:
    [(rules, reached)] = transaction.fetch("SELECT rules, reached FROM search_state")
    if rules == RULES and reached is None:
        return 0  # another process was first
    if rules != RULES:
        reached = ""
    ids = [
        row[0]
        for row in transaction.fetch(
            "SELECT DISTINCT lower_id FROM hosted_packages WHERE lower_id > ? ORDER BY lower_id LIMIT ?",
            (reached, _ANEW_AT_ONCE),
        )
    ]
    for lower_id in ids:
        index_again(transaction, lower_id)
    transaction.change("UPDATE search_state SET rules = ?, reached = ?", (RULES, ids[-1] if ids else None))
    return len(ids)
