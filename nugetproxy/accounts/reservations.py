"""Reserved and protected prefixes: which ids belong to whom, and which are ours alone. Pure.

A reservation is a prefix (`Contoso.` or `Contoso.*`) or an exact id, and matching is "starts with" in any case, as on
nuget.org (nuget-protocol: prefix reservation). Of several that match, the most specific one decides: an owner can
delegate a part of a prefix that way.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nugetproxy.accounts.search_words import ProtectedWords
from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.identity import LONGEST_ID, lower_invariant
from nugetproxy.nuget.lookalikes import decodings, is_shown, readings

SHORTEST_STEM: Final = 3
"""In characters. A shorter prefix would hide a large part of all public ids."""

_STEM: Final = re.compile(r"\w+(?:[.-]\w+)*[.-]?")
# What separates the terms of a search text. Dots, hyphens and underscores do not: they are parts of ids.
_BETWEEN_TERMS: Final = re.compile(r"[^\w.\-]+")
# What separates the words of a term. A search engine splits a term at any of them, whichever was typed.
_INSIDE_TERM: Final = re.compile(r"[._\-]+")
_BETWEEN_LETTERS: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Reservation:
    """`pattern` as given ("Contoso.*", "Contoso.Core"); `owners` by account id.

    `shared`: everybody may push new ids under it; only its owners get the check mark.
    """

    pattern: str
    exact: bool
    shared: bool
    owners: frozenset[int] = frozenset()
    stem: str = field(init=False)
    """The beginning of a matching id (or, when exact, the whole id), in lower case."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stem", lower_invariant(self.pattern).removesuffix("*"))

    def matches(self, lower_id: str) -> bool:
        return lower_id == self.stem if self.exact else lower_id.startswith(self.stem)

    def covers(self, lower_beginning: str) -> bool:
        """Whether it matches every id that begins with this."""
        return not self.exact and lower_beginning.startswith(self.stem)

    @property
    def glob(self) -> str:
        """What it matches, as a glob in lower case."""
        return self.stem if self.exact else f"{self.stem}*"


def parse_pattern(text: str) -> tuple[str, bool]:
    """The pattern as stored, and whether it is an exact id. `Contoso.` and `Contoso.*` are the same prefix.

    Raises InvalidRequest.
    """
    stem = text.removesuffix("*")
    if len(stem) > LONGEST_ID or not _STEM.fullmatch(stem):
        raise InvalidRequest(f"{text[:LONGEST_ID]!r} is not a prefix: expected 'Contoso.*', 'Contoso.' or a package id")
    exact = stem == text and not stem.endswith((".", "-"))
    return (stem, True) if exact else (f"{stem}*", False)


def check_breadth(pattern: str, exact: bool, *, wide: bool) -> None:
    """Limits a pattern, as `parse_pattern` returns it: unless it is shared, public ids under it are hidden.

    `wide`: allow it to end inside a word. Raises InvalidRequest.
    """
    stem = pattern.removesuffix("*")
    if exact:
        return
    if len(stem) < SHORTEST_STEM:
        raise InvalidRequest(
            f"{pattern!r} would cover every id that begins with {stem!r}: a prefix needs at least {SHORTEST_STEM} "
            "characters before the star"
        )
    if not wide and not stem.endswith((".", "-")):
        raise InvalidRequest(
            f"{pattern!r} also covers ids such as '{stem}X': reserve '{stem}.*' (and '{stem}'), or use --wide if "
            "that is intended"
        )


def most_specific_first(reservations: Iterable[Reservation], lower_id: str) -> tuple[Reservation, ...]:
    """Those that match the id; the first one decides."""
    matching = [each for each in reservations if each.matches(lower_id)]
    return tuple(sorted(matching, key=lambda each: (each.exact, len(each.stem)), reverse=True))


@dataclass(frozen=True, slots=True)
class ProtectedPrefixes:
    """The ids that no upstream is ever asked about.

    `prefixes` and `exact` contain lower-case text without a star; `spelled_prefixes` and `spelled_exact` contain the
    same as given, where that is known: capitals separate words.
    """

    prefixes: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()
    spelled_prefixes: frozenset[str] = frozenset()
    spelled_exact: frozenset[str] = frozenset()
    _beginnings: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _first_words: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _all_words: frozenset[str] = field(init=False, repr=False, compare=False)
    _all_letters: frozenset[str] = field(init=False, repr=False, compare=False)
    _several_words: ProtectedWords = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_beginnings", tuple(self.prefixes))
        object.__setattr__(self, "_first_words", tuple({words for each in self.prefixes if (words := _words(each))}))
        object.__setattr__(self, "_all_words", frozenset(map(_words, self.exact)))
        object.__setattr__(self, "_all_letters", frozenset(map(_letters, self.prefixes | self.exact)) - {""})
        several = ProtectedWords(self.prefixes | self.spelled_prefixes, self.exact | self.spelled_exact)
        object.__setattr__(self, "_several_words", several)

    def __bool__(self) -> bool:
        """Whether any id is protected."""
        return bool(self._beginnings or self.exact)

    def covers(self, lower_id: str) -> bool:
        """Whether the id is ours alone."""
        return lower_id.startswith(self._beginnings) or lower_id in self.exact

    def resembles(self, lower_id: str) -> bool:
        """Whether the id is ours alone, or looks like one that is: with full-width or Cyrillic letters or invisible
        characters it is a different id, yet it reveals the name, and looks the same.
        """
        return self.covers(lower_id) or (not lower_id.isascii() and any(map(self.covers, readings(lower_id))))

    def touches(self, search_text: str) -> bool:
        """Whether a search or completion names something protected, so that no upstream may receive it.

        That is a term that names a prefix, with or without its dot, or an id under it; its scope, quotes and case do
        not matter. It is also a text with all words of an exact id, or of a prefix of several words, in any order and
        with any separators.
        """
        return bool(self) and any(map(self._reveals, decodings(search_text)))

    def _reveals(self, search_text: str) -> bool:
        if self._has_ours(search_text):
            return True
        if search_text.isascii():
            return False
        plain = readings(search_text)
        # A search engine reads compatibility forms (full-width letters) as the letters they stand for.
        with_invisible = unicodedata.normalize("NFKC", search_text)
        if any(map(self._has_ours, (*plain, with_invisible))):
            return True
        # Invisible characters join words for one engine and separate them for another: only letters can be trusted.
        return not all(map(is_shown, search_text)) and any(
            letters in _letters(text) for letters in self._all_letters for text in plain
        )

    def _has_ours(self, text: str) -> bool:
        terms = _BETWEEN_TERMS.split(lower_invariant(text))
        return any(map(self._is_ours, terms)) or self._several_words.are_in(text)

    def _is_ours(self, term: str) -> bool:
        if self.covers(term.strip(".-")):
            return True
        # "contoso" alone, "contoso-secret", "contoso_secret": a search engine finds the protected word in each.
        # Not so "ContosoSecret", though engines also split at capitals: without a dot it may be the id of a public
        # package, and a search for that must find it.
        words = _words(term)
        return words.startswith(self._first_words) or words in self._all_words


def _words(text: str) -> str:
    """The words of a term, an id or a prefix, each followed by a dot; empty when there are none."""
    return "".join(f"{word}." for word in _INSIDE_TERM.split(text) if word)


def _letters(text: str) -> str:
    """The letters and digits of a text, without separators."""
    return _BETWEEN_LETTERS.sub("", text)


def protected_prefixes(settings: Iterable[str], reservations: Iterable[Reservation]) -> ProtectedPrefixes:
    """The prefixes named in the settings (with or without a star) and every reservation that is not shared."""
    kept = [each for each in reservations if not each.shared]
    prefixes = frozenset(
        text.removesuffix("*") for text in (*settings, *(each.pattern for each in kept if not each.exact))
    )
    exact = frozenset(each.pattern for each in kept if each.exact)
    return ProtectedPrefixes(
        prefixes=frozenset(map(lower_invariant, prefixes)),
        exact=frozenset(map(lower_invariant, exact)),
        spelled_prefixes=prefixes,
        spelled_exact=exact,
    )
