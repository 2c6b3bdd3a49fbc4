"""Where to look for the packages of a filter: ids, words to search for, and which of the latest versions it requires.

A feed over a mirrored catalogue cannot evaluate a filter on every package that exists. Everything here is a necessary
condition: packages that do not meet it cannot pass the filter, so only those that do need to be fetched.
"""

import re
from dataclasses import dataclass
from typing import Final

from nugetproxy.protocol.v2.expressions import And, Call, Compare, Expression, Kind, Literal, Named, Or, properties_in
from nugetproxy.protocol.v2.properties import KNOWN_TO_SEARCH

MOST_IDS: Final = 50
"""A filter with more ids than this is not answered by looking each one up."""

MOST_WORDS: Final = 4
"""Maximum number of searches for a filter. A longer list of words becomes one empty search, which finds everything."""

_LATEST: Final = "IsLatestVersion"
_ABSOLUTE: Final = "IsAbsoluteLatestVersion"
_SEARCHED: Final = frozenset({"Id", "Title", "Tags", "Description", "Summary", "Authors"})
# Characters with a special meaning to a search service are not meant that way by a filter's author.
_SIGNS = re.compile(r'[:"*?()\[\]{}^~!&|+\\/]+')


@dataclass(frozen=True, slots=True)
class Hints:
    """`ids` (lower case) and `words` are None if the filter names none."""

    ids: frozenset[str] | None = None
    words: frozenset[str] | None = None
    needs_latest: bool = False
    needs_absolute_latest: bool = False
    is_one_flag: bool = False
    """The filter consists of just one of the two flags: one version of each id passes."""
    mentions_absolute_latest: bool = False
    needs_registrations: bool = False
    """It mentions properties that search hits do not have."""


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
    """Which of the two flags must hold."""
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
    """Every row that passes contains one of these words in a text that searches look at."""
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
            # The longest word matches the fewest packages.
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
