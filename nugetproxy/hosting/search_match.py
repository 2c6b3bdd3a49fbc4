"""What a search text asks of the index: conditions and ranks, as SQL with parameters. Pure.

Rule 1: nothing typed becomes syntax. A text reaches the index as tokens in quotes, anything else as a parameter.
Rule 2: every condition speaks of `d`, a row of search_documents, so that conditions of all kinds combine with AND.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from nugetproxy.errors import InvalidVersion
from nugetproxy.hosting.search_tokens import id_part, joined_tokens, squashed, tokens
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.search_terms import SearchTerms

_EVERYWHERE: Final = "{name title tags description summary authors}"
_PROMINENT: Final = "{name title tags}"

# Pieces of one word or quoted phrase that are looked for, and characters of a text: beyond, nobody searches in earnest.
_MOST_PIECES: Final = 16
_LONGEST_TEXT: Final = 1024

_FOUND: Final = "d.document IN (SELECT rowid FROM search_words WHERE search_words MATCH ?)"
_OWNED: Final = (
    "d.lower_id IN (SELECT lower_id FROM package_owners JOIN accounts USING (account_id)"
    " WHERE lower_name IN (SELECT value FROM json_each(?)))"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """True or false of a document."""

    sql: str
    parameters: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A document is found when all conditions hold, and ranks by the first of `ranks` that does: the earlier, the
    higher.
    """

    conditions: tuple[Condition, ...]
    ranks: tuple[Condition, ...]


def asked_by(terms: SearchTerms, account_names: Collection[str] = ()) -> Asked:
    """`account_names`: those of the words, in lower case, that are the name of an account: its packages are found."""
    words = [word for word in terms.words if tokens(word)]  # signs alone say nothing
    owners = [word for word in words if word.lower() in account_names]
    plain = [word for word in words if word not in owners]
    conditions = [_by_field[name](values) for name, values in terms.fields.items()]
    if plain:
        conditions.append(_found(_all(map(_word, plain))))
    for word in owners:
        owned = _owned([word])
        conditions.append(Condition(f"({_FOUND} OR {owned.sql})", (_word(word), *owned.parameters)))
    return Asked(tuple(conditions), _ranks(words) if words else ())


def completed_by(text: str) -> Asked:
    """Ids of which every word begins a piece, those that begin with the whole text before others."""
    words = [word for word in text.split() if tokens(word)]
    if not words:
        return Asked((), ())
    beginning = lower_invariant(text.strip())
    return Asked(
        (
            _named(
                _all(map(_name, words)),
            ),
        ),
        (Condition("substr(d.lower_id, 1, ?) = ?", (len(beginning), beginning)),),
    )


# --- what a word is found by ------------------------------------------------------------------------------------------


def _word(word: str) -> str:
    """In any text, at the beginning of a piece of it; in the id also in the middle."""
    return _any([f"{_EVERYWHERE} : {_text(word)}", *_in_id(word)])


def _text(word: str, *, whole: bool = False) -> str:
    """Its pieces in a row, or in one piece. The last may go on, unless `whole` is asked for."""
    return _any([_phrase(way, whole) for way in _ways(word)])


def _in_id(word: str) -> list[str]:
    """Where only an id can have it: in the middle of a word, over several, or as the id without its dots."""
    found = [f'name : "{squashed(tokens(word))}"']
    if (part := id_part(word)) is not None:
        found.append(f"within : {_phrase([part])}")
    return found


def _name(word: str, *, whole: bool = False) -> str:
    """For the index of names, which knows no order: the pieces may lie anywhere."""
    return _any(
        [
            _all([*(_phrase([piece], whole=True) for piece in pieces), _last(last, whole)])
            for *pieces, last in _ways(word)
        ]
    )


def _ways(word: str) -> list[list[str]]:
    """In pieces, and where it has no other gaps than camel case, in one."""
    pieces, joined = tokens(word)[:_MOST_PIECES], joined_tokens(word)
    return [pieces, joined] if len(joined) == 1 and joined[0] == "".join(pieces) else [pieces]


def _last(piece: str, whole: bool) -> str:
    return f'"{piece}"' if whole else f'"{piece}" *'


def _phrase(row: Sequence[str], whole: bool = False) -> str:
    # What begins with one letter is nearly everything, and takes as long to find: a letter stands for itself.
    quoted = f'"{" ".join(row)}"'
    return quoted if whole or len(row[-1]) < 2 else f"{quoted} *"


def _all(expressions: Iterable[str]) -> str:
    return " AND ".join(f"({each})" for each in expressions)


def _any(expressions: Sequence[str]) -> str:
    return f"({' OR '.join(expressions)})"


# --- ranks ------------------------------------------------------------------------------------------------------------


def _ranks(words: Sequence[str]) -> tuple[Condition, ...]:
    return (
        Condition("d.lower_id = ?", (lower_invariant(" ".join(words)),)),
        _named(_all(_name(word, whole=True) for word in words)),
        _named(_all(_name(word) for word in words)),
        _found(_all(f"{_PROMINENT} : {_text(word)}" for word in words)),
    )


# --- fields -----------------------------------------------------------------------------------------------------------


def _in_column(column: str, *, whole: bool = False) -> Callable[[Sequence[str]], Condition]:
    def condition(values: Sequence[str]) -> Condition:
        ways = [f"{column} : {_text(value, whole=whole)}" for value in values if tokens(value)]
        return _found(_any(ways)) if ways else _NEVER

    return condition


def _id(values: Sequence[str]) -> Condition:
    """Pieces of the id, or any part of it."""
    ways = [f"name : {_text(value)}" for value in values if tokens(value)]
    ways += [way for value in values if tokens(value) for way in _in_id(value)]
    return _found(_any(ways)) if ways else _NEVER


def _package_id(values: Sequence[str]) -> Condition:
    return Condition("d.lower_id IN (SELECT value FROM json_each(?))", (_json(map(lower_invariant, values)),))


def _version(values: Sequence[str]) -> Condition:
    lowered = (_lower_version(value) for value in values)
    return Condition(
        "d.lower_version IN (SELECT value FROM json_each(?))", (_json(text for text in lowered if text is not None),)
    )


def _lower_version(text: str) -> str | None:
    try:
        return NuGetVersion.parse(text).lower
    except InvalidVersion:
        return None


def _owned(names: Sequence[str]) -> Condition:
    """Who owns an id is read when it is asked for: it changes without a push."""
    return Condition(_OWNED, (_json(name.lower() for name in names),))


_by_field: Final[dict[str, Callable[[Sequence[str]], Condition]]] = {
    "packageid": _package_id,
    "id": _id,
    "version": _version,
    "title": _in_column("title"),
    "description": _in_column("description"),
    "summary": _in_column("summary"),
    "tags": _in_column("tags", whole=True),
    "authors": _in_column("authors"),
    "owners": _owned,
}
_NEVER: Final = Condition("0", ())


def _found(expression: str) -> Condition:
    return Condition(_FOUND, (expression,))


def _named(expression: str) -> Condition:
    return Condition("d.document IN (SELECT rowid FROM search_names WHERE search_names MATCH ?)", (expression,))


def _json(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode()


def readable(text: str) -> str:
    """What is looked at of a text: its beginning, without the halves of characters that broken URLs decode to."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
