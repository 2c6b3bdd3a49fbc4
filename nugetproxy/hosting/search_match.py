"""What a search text matches: conditions on the full-text index. Pure.

Rule 1: nothing typed becomes syntax. A text reaches the index only as tokens.
Rule 2: everything is a condition of the index, so that all of them can be combined, and are counted without reading
the documents, and answered in the order of their numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.hosting.full_text.base import NEVER, AllOf, AnyOf, Index, Match, Phrase
from nugetproxy.hosting.search_marks import id_mark, owner_mark, version_mark
from nugetproxy.hosting.search_tokens import id_part, joined_tokens, squashed, tokens
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search_terms import SearchTerms

_NAME: Final = ("name",)
_PROMINENT: Final = ("name", "title", "tags")

# Pieces of one word or quoted phrase, and characters of a text, that are used: no real search has more.
_MOST_PIECES: Final = 16
_LONGEST_TEXT: Final = 1024


@dataclass(frozen=True, slots=True)
class Expression:
    """True or false for a document; without `match` it is true for all."""

    index: Index
    match: Match | None
    is_narrow: bool = False
    """Several conditions are combined, so few documents meet them all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What matches, and its order: a document ranks by the first of `ranks` that is true for it, earlier is higher;
    documents with no rank come last.

    Every rank is a subset of the matches.
    """

    found: Expression
    ranks: tuple[Expression, ...] = ()


def asked_by(terms: SearchTerms, account_ids: Mapping[str, int]) -> Asked:
    """`account_ids`: by lower name, the accounts named by the words and owners of the terms. A word that names one also
    finds its packages.
    """
    words = [word for word in terms.words if tokens(word)]  # punctuation alone matches nothing
    fields = [_in_field(name, values, account_ids) for name, values in terms.fields.items()]
    found = [*(_any([_word(word), *_owned([word], account_ids)]) for word in words), *fields]
    if not words:
        return Asked(Expression(Index.WORDS, _all(fields) if fields else None))
    index = Index.WORDS if fields else Index.NAMES
    ranks = tuple(Expression(index, _all([rank, *fields])) for rank in _ranks(words))
    return Asked(Expression(Index.WORDS, _all(found), is_narrow=len(found) > 1), ranks)


def completed_by(text: str) -> Expression:
    """Ids in which every word begins a piece."""
    words = [word for word in text.split() if tokens(word)]
    return Expression(Index.NAMES, _all(map(_name, words)) if words else None)


# --- what a word matches ----------------------------------------------------------------------------------------------


def _word(word: str) -> Match:
    """In any text, at the beginning of a piece; in the id also in the middle.

    In all columns at once: restricting it to some would cost as much as searching everything twice. Tokens that only an
    id can have are distinguished from words by their first character, or are word endings that begin a word elsewhere.
    """
    return _any(list(dict.fromkeys([*map(_phrase, _ways(word)), *_in_id(word)])))


def _text(word: str, columns: tuple[str, ...], *, whole: bool = False) -> Match:
    """Its pieces in a row, or in one piece. The last may be a prefix, unless `whole`."""
    return _any([_phrase(way, columns, whole=whole) for way in _ways(word)])


def _in_id(word: str, columns: tuple[str, ...] = ()) -> list[Match]:
    """Tokens that only an id can have: the id without its dots, across several words, or in the middle of one."""
    part = id_part(word)
    return [Phrase((squashed(tokens(word)),), columns=columns), *([] if part is None else [_phrase([part], columns)])]


def _name(word: str) -> Match:
    """In the id, its pieces anywhere; the last may be a prefix."""
    return _any(
        [
            _all([*(Phrase((piece,), columns=_NAME) for piece in pieces), Phrase((last,), True, _NAME)])
            for *pieces, last in _ways(word)
        ]
    )


def _ways(word: str) -> list[list[str]]:
    """In pieces, and also in one piece if camel case is its only separator."""
    pieces, joined = tokens(word)[:_MOST_PIECES], joined_tokens(word)
    return [pieces, joined] if len(joined) == 1 and joined[0] == "".join(pieces) else [pieces]


def _phrase(row: Sequence[str], columns: tuple[str, ...] = (), *, whole: bool = False) -> Match:
    # A one-letter prefix matches nearly everything, and is slow: a single letter must match exactly.
    return Phrase(tuple(row), not whole and len(row[-1]) > 1, columns)


def _all(parts: Iterable[Match]) -> Match:
    several = tuple(parts)
    return several[0] if len(several) == 1 else AllOf(several)


def _any(parts: Sequence[Match]) -> Match:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


# --- ranks ------------------------------------------------------------------------------------------------------------


def _ranks(words: Sequence[str]) -> tuple[Match, ...]:
    return (
        *_marked_id(" ".join(words)),
        _all(_text(word, _NAME, whole=True) for word in words),
        _all(_text(word, _NAME) for word in words),
        _all(_text(word, _PROMINENT) for word in words),
    )


# --- fields -----------------------------------------------------------------------------------------------------------


def _in_field(name: str, values: Sequence[str], account_ids: Mapping[str, int]) -> Match:
    """At least one of the values."""
    if name == "owners":
        ways = _owned(values, account_ids)
    else:
        ways = [way for value in values for way in _by_field[name](value)]
    return _any(ways) if ways else NEVER


def _in_column(column: str, *, whole: bool = False) -> Callable[[str], list[Match]]:
    return lambda value: [_text(value, (column,), whole=whole)] if tokens(value) else []


def _id(value: str) -> list[Match]:
    """Pieces of the id, or any part of it."""
    columns = ("name", "within")
    return [*(_phrase(way, columns) for way in _ways(value)), *_in_id(value, columns)] if tokens(value) else []


def _marked_id(value: str) -> list[Match]:
    try:
        return [Phrase((id_mark(PackageId.parse(value).lower),))]
    except InvalidPackageId:
        return []


def _marked_version(value: str) -> list[Match]:
    try:
        return [Phrase((version_mark(NuGetVersion.parse(value).lower),))]
    except InvalidVersion:
        return []


def _owned(names: Sequence[str], account_ids: Mapping[str, int]) -> list[Match]:
    known = [account_ids[name.lower()] for name in names if name.lower() in account_ids]
    return [Phrase((owner_mark(each),)) for each in known]


_by_field: Final[dict[str, Callable[[str], list[Match]]]] = {
    "packageid": _marked_id,
    "id": _id,
    "version": _marked_version,
    "title": _in_column("title"),
    "description": _in_column("description"),
    "summary": _in_column("summary"),
    "tags": _in_column("tags", whole=True),
    "authors": _in_column("authors"),
}


def readable(text: str) -> str:
    """The part of a text that is used: its beginning, without NULs, and lone surrogates that broken URLs decode to."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\0", "?")
