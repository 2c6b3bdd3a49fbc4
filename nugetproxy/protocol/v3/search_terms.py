"""Search texts: parsing nuget.org's query language, and whether a kept version matches.

Matching is limited to what registrations contain, and there is no ranking here.
Source: docs/consume-packages/Finding-and-Choosing-Packages.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.v3.registration_values import Leaf

_TERM = re.compile(r'(?:([A-Za-z*]+):)?(?:"([^"]*)"|(\S*))')
_OPERATORS = frozenset({"AND", "OR", "NOT"})
_ALSO_CALLED = {"tag": "tags", "author": "authors", "owner": "owners"}

MOST_TERMS = 32
"""Maximum number of terms evaluated per text; real users type fewer, and each has a cost."""


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """Free words, and values by field; values are as typed, with spaces if they were quoted.

    Every word must match, and at least one value of every field.
    """

    words: tuple[str, ...]
    fields: dict[str, tuple[str, ...]]


@lru_cache(maxsize=64)  # one text is matched against every kept package
def search_terms(text: str) -> SearchTerms:
    """Unknown fields are ignored with their values, as are AND, OR and NOT; nuget.org does the same."""
    words: list[str] = []
    fields: dict[str, list[str]] = {}
    for name, quoted, bare in _TERM.findall(text):
        value = quoted or bare
        if not value or (not name and bare in _OPERATORS):
            continue
        field = _ALSO_CALLED.get(name.lower(), name.lower())
        if field in ("", "*"):
            words.append(value)
        elif field in _FIELDS:
            fields.setdefault(field, []).append(value)
        if len(words) + sum(map(len, fields.values())) == MOST_TERMS:
            break
    return SearchTerms(tuple(words), {name: tuple(values) for name, values in fields.items()})


def matches(text: str, leaf: Leaf) -> bool:
    """Whether a version matches the text."""
    terms = search_terms(text)
    return all(_has_word(leaf, lower_invariant(word)) for word in terms.words) and all(
        any(_FIELDS[name](leaf, lower_invariant(value)) for value in values) for name, values in terms.fields.items()
    )


def _has_word(leaf: Leaf, word: str) -> bool:
    return any(word in _text(leaf, name) for name in ("id", "title", "tags", "description", "summary", "authors"))


def _text(leaf: Leaf, name: str) -> str:
    value: Any = leaf.package_id if name == "id" else leaf.entry.get(name)
    if isinstance(value, list):
        value = " ".join(item for item in value if isinstance(item, str))
    return lower_invariant(value) if isinstance(value, str) else ""


def _within(name: str) -> Callable[[Leaf, str], bool]:
    return lambda leaf, value: value in _text(leaf, name)


_FIELDS: dict[str, Callable[[Leaf, str], bool]] = {
    "packageid": lambda leaf, value: _text(leaf, "id") == value,
    "id": _within("id"),
    "version": lambda leaf, value: value in (leaf.version.lower, leaf.version.full.lower()),
    "title": _within("title"),
    "description": _within("description"),
    "summary": _within("summary"),
    "tags": _within("tags"),
    "authors": _within("authors"),
    # No registration contains account names; a search for one must not match everything.
    "owners": lambda _leaf, _value: False,
}
