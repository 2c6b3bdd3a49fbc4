"""One page of the matches, in order, and the number of all matches.

`search_match` decides what a text matches; `search` adds what a hit shows beyond its document row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from nugetproxy.hosting.full_text.base import AllOf, Condition, FullText, Phrase
from nugetproxy.hosting.search_marks import class_of, type_mark
from nugetproxy.hosting.search_match import Asked, Expression, readable
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from nugetproxy.storage.database.base import Fetch
from nugetproxy.storage.database.lists import listed, padded

# Up to this many are sorted by exact downloads and then by id. With more, the order of their numbers is used: then only
# the page itself is read.
_SORTED: Final = 300
_LISTED: Final = 2000
# From so many on, finding all of them to show the first takes longer than looking at documents in their order.
_BROAD: Final = 20_000

# The documents of one rank, up to a limit, in the order of their numbers. True: there may be very many.
_Rank = Callable[[int, bool], list[int]]


@dataclass(frozen=True, slots=True)
class Document:
    """A match. `downloads` are those of the whole id, `shown` is what the index stores for display."""

    lower_id: str
    downloads: int
    shown: dict[str, Any]


def page_found(fetch: Fetch, texts: FullText, query: SearchQuery, asked: Asked) -> tuple[int, list[Document]]:
    """The number of all matches, and those of the query's page."""
    seen = _Seen(fetch, texts, query)
    return _page(seen, query, asked.found, [seen.rank(expression) for expression in asked.ranks])


def page_completed(
    fetch: Fetch, texts: FullText, query: CompletionQuery, found: Expression, beginning: str
) -> tuple[int, list[Document]]:
    """As `page_found`. Ids that begin with this lower `beginning` come first."""
    seen = _Seen(fetch, texts, query)
    return _page(seen, query, found, [seen.rank_beginning(found, beginning)])


def _page(
    seen: "_Seen", query: SearchQuery | CompletionQuery, found: Expression, ranks: Iterable[_Rank]
) -> tuple[int, list[Document]]:
    if seen.is_everything(found):
        return seen.count_all(), seen.documents(seen.most_downloaded(query.take, query.skip))
    rest = seen.rank(found)
    # A result that is probably small is listed, which costs no more than counting it and saves the second query.
    listed = rest(_LISTED, False) if found.is_narrow else []
    total = len(listed) if found.is_narrow and len(listed) < _LISTED else seen.count(found)
    end = min(query.skip + query.take, total)
    if query.skip >= end:
        return total, []
    is_sorted = total <= _SORTED
    wanted = total if is_sorted else end
    places: dict[int, int] = {}
    for place, rank in enumerate([*ranks, rest]):
        if len(places) < wanted:
            limit = min(total, wanted + len(places))
            for document in listed if rank is rest and limit <= len(listed) else rank(limit, total >= _BROAD):
                places.setdefault(document, place)
    numbers = seen.sorted(places) if is_sorted else list(places)
    return total, seen.documents(numbers[query.skip : end])


class _Seen:
    """The documents as one kind of client sees them, optionally of one package type."""

    def __init__(self, fetch: Fetch, texts: FullText, query: SearchQuery | CompletionQuery) -> None:
        self._fetch = fetch
        self._texts = texts
        self._asked = class_of(prerelease=query.prerelease, semver_level2=query.semver_level2)
        self._bit = 1 << self._asked
        self._type = None if query.package_type is None else type_mark(readable(lower_invariant(query.package_type)))

    def is_everything(self, expression: Expression) -> bool:
        return expression.match is None and self._type is None

    def count(self, expression: Expression) -> int:
        return self._texts.count(self._fetch, self._of_client(expression))

    def rank(self, expression: Expression) -> _Rank:
        condition = self._of_client(expression)
        return lambda limit, is_broad: self._texts.first(self._fetch, condition, limit, is_broad=is_broad)

    def rank_beginning(self, expression: Expression, beginning: str) -> _Rank:
        """Those whose ids begin with this."""
        condition = self._of_client(expression)
        return lambda limit, is_broad: self._texts.first_beginning(
            self._fetch, condition, beginning, limit, is_broad=is_broad
        )

    def _of_client(self, expression: Expression) -> Condition:
        asked = [] if expression.match is None else [expression.match]
        if self._type is not None:
            asked.append(Phrase((self._type,)))
        return Condition(expression.index, AllOf(tuple(asked)), self._asked)

    def count_all(self) -> int:
        return self._texts.count_all(self._fetch, self._asked)

    def most_downloaded(self, take: int, skip: int) -> list[int]:
        rows = self._fetch(
            "SELECT document FROM search_documents WHERE shown_to & ? <> 0 ORDER BY downloads DESC, lower_id"
            " LIMIT ? OFFSET ?",
            (self._bit, take, skip),
        )
        return [row[0] for row in rows]

    def sorted(self, places: Mapping[int, int]) -> list[int]:
        """By place, downloads and id."""
        wanted = padded(places)
        rows = self._fetch(
            f"SELECT document, downloads, lower_id FROM search_documents WHERE document IN {listed(wanted)}",  # noqa: S608  parameters
            wanted,
        )
        return [row[0] for row in sorted(rows, key=lambda row: (places[row[0]], -row[1], row[2]))]

    def documents(self, numbers: Sequence[int]) -> list[Document]:
        """The documents with these numbers, in this order."""
        wanted = padded(numbers)
        rows = self._fetch(
            "SELECT document, lower_id, downloads, hit FROM search_documents JOIN search_hits USING (document)"  # noqa: S608  parameters
            f" WHERE document IN {listed(wanted)}",
            wanted,
        )
        found = {row[0]: row[1:] for row in rows}
        return [
            Document(lower_id, downloads, orjson.loads(hit))
            for lower_id, downloads, hit in (found[number] for number in numbers)
        ]
