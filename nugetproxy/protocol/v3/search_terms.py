"""Whether a kept version matches a search text: nuget.org's query language, as far as registrations can answer it.

There is no ranking here. Source: docs/consume-packages/Finding-and-Choosing-Packages.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.protocol.v3.registration_values import Leaf

_TERM = re.compile(r'(?:([A-Za-z*]+):)?(?:"([^"]*)"|(\S*))')
_OPERATORS = frozenset({"AND", "OR", "NOT"})


def matches(text: str, leaf: Leaf) -> bool:
    """Every free word must be found, and of every field that is named at least one value."""
    words, fields = _terms(text)
    return all(_has_word(leaf, word) for word in words) and all(
        any(_FIELDS[name](leaf, value) for value in values) for name, values in fields
    )


@lru_cache(maxsize=64)  # one text is tried on every kept package
def _terms(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Free words, and values by field. Unknown fields are passed over with their values, as nuget.org does."""
    words: list[str] = []
    fields: dict[str, list[str]] = {}
    for name, quoted, bare in _TERM.findall(text):
        value = lower_invariant(quoted or bare)
        if not value or (not name and bare in _OPERATORS):
            continue
        if name in ("", "*"):
            words.append(value)
        elif name.lower() in _FIELDS:
            fields.setdefault(name.lower(), []).append(value)
    return tuple(words), tuple((name, tuple(values)) for name, values in fields.items())


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
    "tag": _within("tags"),
    "tags": _within("tags"),
    "author": _within("authors"),
    "authors": _within("authors"),
    # Account names are in no registration; whoever asks for one does not mean everything.
    "owner": lambda _leaf, _value: False,
    "owners": lambda _leaf, _value: False,
}
