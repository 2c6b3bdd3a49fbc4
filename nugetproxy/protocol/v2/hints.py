"""What a filter says about where to look: ids, words to search for, and which of the latest versions are meant.

A feed over a mirrored catalogue cannot try a filter on every package there is. Everything here is a necessary
condition: what does not fulfil it cannot pass the filter, so only what does needs to be fetched.
"""

import re
from dataclasses import dataclass
from typing import Final

from nugetproxy.protocol.v2.expressions import And, Call, Compare, Expression, Kind, Literal, Named, Or, properties_in
from nugetproxy.protocol.v2.properties import KNOWN_TO_SEARCH

MOST_IDS: Final = 50
"""More ids than this are not looked up one by one for a filter."""

MOST_WORDS: Final = 4
"""Searches for one filter; the words of a longer list are searched for as nothing, which finds everything."""

_LATEST: Final = "IsLatestVersion"
_ABSOLUTE: Final = "IsAbsoluteLatestVersion"
_SEARCHED: Final = frozenset({"Id", "Title", "Tags", "Description", "Summary", "Authors"})
# Signs that mean something to a search service are not what a filter's author meant.
_SIGNS = re.compile(r'[:"*?()\[\]{}^~!&|+\\/]+')


@dataclass(frozen=True, slots=True)
class Hints:
    """`ids` (lower case) and `words` are None where the filter names none."""

    ids: frozenset[str] | None = None
    words: frozenset[str] | None = None
    needs_latest: bool = False
    needs_absolute_latest: bool = False
    is_one_flag: bool = False
    """The filter is one of the two flags and nothing else: one version of each id passes."""
    mentions_absolute_latest: bool = False
    needs_registrations: bool = False
    """It mentions what a search does not tell."""


def hints_of(expression: Expression | None) -> Hints:
    """The hints of a filter."""
    if expression is None:
        return Hints()
    mentioned = {each.name for each in properties_in(expression)}
    flags = _flags(expression)
    ids, words = _ids(expression), _words(expression)
    return Hints(
        ids=ids if ids is None or len(ids) <= MOST_IDS else None,
        words=words if words is None or len(words) <= MOST_WORDS else None,
        needs_latest=_LATEST in flags,
        needs_absolute_latest=_ABSOLUTE in flags,
        is_one_flag=_flag(expression) is not None,
        mentions_absolute_latest=_ABSOLUTE in mentioned,
        needs_registrations=not mentioned <= KNOWN_TO_SEARCH,
    )


def _flags(expression: Expression) -> frozenset[str]:
    """The two flags as far as they must hold."""
    if isinstance(expression, And):
        return frozenset().union(*map(_flags, expression.terms))
    flag = _flag(expression)
    return frozenset((flag,)) if flag is not None else frozenset()


def _flag(expression: Expression) -> str | None:
    """`IsLatestVersion`, alone or `eq true`."""
    match expression:
        case Compare("eq", inner, Literal(Kind.BOOLEAN, True)) | Compare("eq", Literal(Kind.BOOLEAN, True), inner):
            return _flag(inner)
        case Named(definition) if definition.name in (_LATEST, _ABSOLUTE):
            return definition.name
    return None


def _ids(expression: Expression) -> frozenset[str] | None:
    match expression:
        case Compare("eq", place, Literal(Kind.TEXT, str(text))) | Compare("eq", Literal(Kind.TEXT, str(text)), place):
            return frozenset((text.strip().lower(),)) if _property(place) == "Id" else None
        case And(terms):
            named = [ids for term in terms if (ids := _ids(term)) is not None]
            return frozenset.intersection(*named) if named else None
        case Or(terms):
            alternatives = [_ids(term) for term in terms]
            known = [ids for ids in alternatives if ids is not None]
            return frozenset().union(*known) if len(known) == len(alternatives) else None
    return None


def _words(expression: Expression) -> frozenset[str] | None:
    """Every row that passes holds one of these in a text that searches look at."""
    match expression:
        case Compare("eq", inner, Literal(Kind.BOOLEAN, True)) | Compare("eq", Literal(Kind.BOOLEAN, True), inner):
            return _words(inner)
        case Compare("eq", place, Literal(Kind.TEXT, str(text))) | Compare("eq", Literal(Kind.TEXT, str(text)), place):
            return _word(place, text)
        case Call("substringof", (Literal(_, str(text)), place)):
            return _word(place, text)
        case Call("startswith" | "endswith", (place, Literal(_, str(text)))):
            return _word(place, text)
        case And(terms):
            named = [words for term in terms if (words := _words(term)) is not None]
            # The longest word finds the fewest.
            return max(named, key=lambda words: min(map(len, words))) if named else None
        case Or(terms):
            alternatives = [_words(term) for term in terms]
            known = [words for words in alternatives if words is not None]
            return frozenset().union(*known) if len(known) == len(alternatives) else None
    return None


def _word(place: Expression, text: str) -> frozenset[str] | None:
    word = " ".join(_SIGNS.sub(" ", text).split())
    return frozenset((word.lower(),)) if word and _property(place) in _SEARCHED else None


def _property(place: Expression) -> str | None:
    match place:
        case Named(definition):
            return definition.name
        case Call("tolower" | "toupper" | "trim", (inner,)):
            return _property(inner)
    return None
