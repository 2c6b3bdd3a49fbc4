"""GET the search: the same query language as the API, with filters that a person can set."""

from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from nugetproxy.feeds.base import Answer, Feed
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.documents import text_of
from nugetproxy.protocol.v3.search import SearchHit, SearchPage, SearchQuery
from nugetproxy.protocol.v3.search_query import DEEPEST_SKIP, MOST_TAKEN
from nugetproxy.web.requests.incoming import feed
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.requests.reading import sees_hosted
from nugetproxy.web.ui.pages import addresses, page

PER_PAGE: Final = 20
_LONGEST_TEXT: Final = 200
_LONGEST_SHOWN: Final = 300

SOURCES: Final = {"": "All packages", "hosted": "Hosted here", "mirrored": "From the upstreams"}
TYPES: Final = {
    "": "Any type",
    "Dependency": "Dependency",
    "DotnetTool": ".NET tool",
    "Template": "Template",
    "McpServer": "MCP server",
}
SORTS: Final = {"": "Relevance", "downloads": "Downloads here", "name": "Name"}
"""Other orders than relevance need all hits, so there are none for the upstreams."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. Values that do not exist become the first choice: a link may be older than this server."""

    text: str
    source: str
    kind: str
    sort: str
    prerelease: bool
    number: int


@dataclass(frozen=True, slots=True)
class HitView:
    id: str
    version: str
    description: str
    authors: str
    tags: tuple[str, ...]
    downloads: int
    is_verified: bool
    is_hosted: bool
    is_deprecated: bool
    is_vulnerable: bool
    has_icon: bool


async def search_page(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    can_choose = services.hosted is not None and sees_hosted(request)
    wanted = _wanted(request, can_choose=can_choose)
    query = SearchQuery(
        wanted.text, (wanted.number - 1) * PER_PAGE, PER_PAGE, wanted.prerelease, True, wanted.kind or None
    )
    answer = await _found(_source(request, wanted), query, wanted.sort)
    hits = answer.value.hits
    hosting = services.hosting
    ours = (
        await hosting.packages.known_among(lower_invariant(hit.id) for hit in hits)
        if can_choose and hosting
        else frozenset()
    )
    last = max(1, min(-(-answer.value.total // PER_PAGE), DEEPEST_SKIP // PER_PAGE))
    return await page(
        request,
        "search.html",
        answer.provenance,
        query=wanted.text,
        wanted=wanted,
        hits=tuple(_view(hit, is_hosted=lower_invariant(hit.id) in ours) for hit in hits),
        total=answer.value.total,
        last=last,
        here=addresses(request).search(
            q=wanted.text, source=wanted.source, type=wanted.kind, sort=wanted.sort, prerelease=wanted.prerelease
        ),
        sources=SOURCES if can_choose else {},
        types=TYPES,
        sorts=SORTS if wanted.source == "hosted" else {},
    )


def _wanted(request: web.Request, *, can_choose: bool) -> Wanted:
    given = request.query
    source = given.get("source", "")
    source = source if can_choose and source in SOURCES else ""
    kind, sort, number = given.get("type", ""), given.get("sort", ""), given.get("page", "1")
    return Wanted(
        text=given.get("q", "").strip()[:_LONGEST_TEXT],
        source=source,
        kind=kind if kind in TYPES else "",
        sort=sort if sort in SORTS and source == "hosted" else "",
        prerelease=given.get("prerelease") == "true",
        number=int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 4 and int(number) else 1,
    )


def _source(request: web.Request, wanted: Wanted) -> Feed:
    services = request.app[SERVICES]
    if wanted.source == "hosted" and services.hosted is not None:
        return services.hosted
    if wanted.source == "mirrored" and services.mirrored is not None:
        return services.mirrored
    return feed(request)


async def _found(asked: Feed, query: SearchQuery, sort: str) -> Answer[SearchPage]:
    if not sort:
        return await asked.search(query)
    answer = await asked.search(replace(query, skip=0, take=MOST_TAKEN))
    hits = sorted(answer.value.hits, key=lambda hit: lower_invariant(hit.id))
    if sort == "downloads":
        hits.sort(key=lambda hit: -_number(hit.raw.get("totalDownloads")))
    shown = tuple(hits[query.skip : query.skip + query.take])
    return Answer(SearchPage(len(hits), shown), answer.provenance)


def _view(hit: SearchHit, *, is_hosted: bool) -> HitView:
    raw = hit.raw
    tags, authors = raw.get("tags"), raw.get("authors")
    return HitView(
        id=hit.id,
        version=text_of(raw.get("version")).partition("+")[0],
        description=_cut(text_of(raw.get("description")) or text_of(raw.get("summary"))),
        authors=", ".join(_texts(authors)) if isinstance(authors, list) else text_of(authors)[:200],
        tags=tuple(_texts(tags)[:6]),
        downloads=_number(raw.get("totalDownloads")),
        is_verified=raw.get("verified") is True,
        is_hosted=is_hosted,
        is_deprecated=isinstance(raw.get("deprecation"), dict),
        is_vulnerable=bool(raw.get("vulnerabilities")),
        has_icon=bool(text_of(raw.get("iconUrl"))),
    )


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN].rpartition(" ")[0] + " …"


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _texts(value: object) -> list[str]:
    return [each[:100] for each in value if isinstance(each, str) and each] if isinstance(value, list) else []
