"""A request to a V2 collection: the query options, the functions' parameters, and the link to the next page.

`$select`, `$format` and `$expand` are ignored: entries are always complete, and always Atom.
Texts are in single quotes, which are doubled inside; clients sometimes omit the quotes. Source: OData 2.0.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from nugetproxy.errors import InvalidRequest, InvalidVersion
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v2.expressions import Expression, Order
from nugetproxy.protocol.v2.odata_query import parse_filter, parse_orderby

PAGE_SIZE: Final = 100
"""Entries per response, as on nuget.org; next links lead to the rest."""

MOST_SKIPPED: Final = 10_000_000

_NUMBER = re.compile(r"[0-9]{1,9}")
_KEY = re.compile(
    r"\(\s*(id|version)\s*=\s*'((?:[^']|'')*)'\s*,\s*(id|version)\s*=\s*'((?:[^']|'')*)'\s*\)",
    re.IGNORECASE | re.ASCII,
)
_SEMVER2 = NuGetVersion.parse("2.0.0")


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """`top` None means all. `pairs` are all parameters as received, decoded."""

    filter: Expression | None = None
    orders: tuple[Order, ...] = ()
    skip: int = 0
    top: int | None = None
    with_count: bool = False
    level2: bool = False
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @staticmethod
    def from_pairs(pairs: Iterable[tuple[str, str]]) -> "FeedQuery":
        """The query from a decoded query string; names are case-insensitive, and the first occurrence counts.

        Raises:
            InvalidRequest: an option with an unsupported value.
        """
        kept = tuple(pairs)
        given = _by_name(kept)
        if "$skiptoken" in given:  # it is not from one of our links, and the client would get the same page forever
            raise InvalidRequest("$skiptoken is not supported: use $skip")
        count = given.get("$inlinecount", "none").strip().lower()
        if count not in ("none", "allpages", ""):
            raise InvalidRequest("$inlinecount must be 'allpages' or 'none'")
        conditions, order = given.get("$filter", "").strip(), given.get("$orderby", "").strip()
        return FeedQuery(
            filter=parse_filter(conditions) if conditions else None,
            orders=parse_orderby(order) if order else (),
            skip=min(_number(given, "$skip") or 0, MOST_SKIPPED),
            top=_number(given, "$top"),
            with_count=count == "allpages",
            level2=_is_level2(given.get("semverlevel", "")),
            pairs=kept,
        )

    @property
    def page_length(self) -> int:
        """The maximum number of entries in this response."""
        return PAGE_SIZE if self.top is None else min(self.top, PAGE_SIZE)

    def text(self, name: str) -> str:
        """A function's parameter without its quotes; empty if not given."""
        return unquoted(_by_name(self.pairs).get(name.lower(), ""))

    def flag(self, name: str) -> bool:
        return self.text(name).strip().lower() == "true"

    def texts(self, name: str) -> list[str]:
        """A list joined by `|`; empty if not given."""
        text = self.text(name)
        return text.split("|") if text else []

    def next_page(self, url: str, following: int | None) -> str | None:
        """The link to the page that starts at row `following`; None if no row follows or none is wanted."""
        if following is None:
            return None
        moved = {"$skip": str(following)}
        if self.top is not None:
            rest = self.top - (following - self.skip)
            if rest <= 0:
                return None
            moved["$top"] = str(rest)
        kept = [(name, value) for name, value in self.pairs if name.lower() not in ("$skip", "$top")]
        return f"{url}?{_encoded([*kept, *moved.items()])}"


def unquoted(text: str) -> str:
    """The text that a literal stands for."""
    stripped = text.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] == "'":
        return stripped[1:-1].replace("''", "'")
    return stripped


def read_key(text: str) -> tuple[str, str]:
    """Id and version of `(Id='A',Version='1.0')`, in any order.

    Raises:
        InvalidRequest: not a valid key.
    """
    match = _KEY.fullmatch(text.strip())
    if match is None or match[1].lower() == match[3].lower():
        raise InvalidRequest("expected a key like Packages(Id='A',Version='1.0.0')")
    values = {match[1].lower(): match[2].replace("''", "'"), match[3].lower(): match[4].replace("''", "'")}
    return values["id"], values["version"]


def _by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        given.setdefault(name.lower(), value)
    return given


def _number(given: dict[str, str], name: str) -> int | None:
    text = given.get(name, "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise InvalidRequest(f"{name} must be an integer from 0 to 999999999")
    return int(text)


def _is_level2(text: str) -> bool:
    try:
        return NuGetVersion.parse(unquoted(text)) >= _SEMVER2
    except InvalidVersion:
        return False


def _encoded(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='$')}={quote(value, safe=_READABLE)}" for name, value in pairs)


_READABLE = "'(),:$|"
