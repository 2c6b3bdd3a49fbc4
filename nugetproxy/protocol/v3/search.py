"""The search and autocomplete resources: questions, answers, and how the answers are read and written.

What matches a query is the upstream's decision; for what we keep ourselves it is `search_terms.py`'s.
"""

from dataclasses import dataclass, field
from typing import Any

from nugetproxy.protocol.v3.search_query import CompletionQuery, SearchQuery

__all__ = ["CompletionPage", "CompletionQuery", "SearchHit", "SearchPage", "SearchQuery"]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One package. `raw` is the object of `data[]`, shared and never changed."""

    id: str
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """`total` counts all hits, `hits` are those of this page."""

    total: int
    hits: tuple[SearchHit, ...]


@dataclass(frozen=True, slots=True)
class CompletionPage:
    """Ids or versions. `total` is None where the upstream did not say."""

    total: int | None
    values: tuple[str, ...]
