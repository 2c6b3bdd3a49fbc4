"""Whether a search text contains all words of a protected name, in any order and with any separators. Pure.

A search engine splits ids and queries into words, at every character that is not a letter or digit and at capitals
inside a word. So a search for "only fabrikam" reveals `Fabrikam.Only` to it. Names of one word are compared in
`accounts.reservations`: there an adjacent word may make it a different id.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from nugetproxy.nuget.identity import lower_invariant

_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")
_BETWEEN_TERMS: Final = re.compile(r"[^\w.\-]+")
# Inside "FabrikamOnly", "XMLFile", "V2Core".
_BEFORE_CAPITAL: Final = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")


class _Name(NamedTuple):
    words: frozenset[str]
    beginning: str
    """The beginning of one more word; empty if the name ends with a whole word."""


class ProtectedWords:
    """The words of several names. Their spelling matters: capitals show where words begin."""

    def __init__(self, prefixes: Iterable[str], exact: Iterable[str]) -> None:
        """Prefixes without a star: one that ends inside a word matches everything that begins with it."""
        whole = tuple(exact)
        self._by_word: dict[str, list[_Name]] = {}
        for text, is_exact in (*((each, True) for each in whole), *((each, False) for each in prefixes)):
            for spelled in {text, _parted(text)}:
                self._add(spelled, is_exact=is_exact or not text[-1:].isalnum())
        self._joined = sorted({_letters(text) for text in whole} - {""})

    def are_in(self, text: str) -> bool:
        """Whether the text has all words of one of the names, or the letters of an exact one in a row."""
        if not self._by_word and not self._joined:
            return False
        words = {*_words(text), *_words(_parted(text))}
        return any(self._names(word, words) for word in words) or self._is_in_a_row(text)

    def _add(self, spelled: str, *, is_exact: bool) -> None:
        words = _words(spelled)
        if len(words) < 2:
            return
        name = _Name(frozenset(words), "") if is_exact else _Name(frozenset(words[:-1]), words[-1])
        # Looked up by one of its words: the longest, which is in the fewest other texts.
        self._by_word.setdefault(max(name.words, key=len), []).append(name)

    def _names(self, word: str, words: set[str]) -> bool:
        return any(
            name.words <= words and (not name.beginning or any(each.startswith(name.beginning) for each in words))
            for name in self._by_word.get(word, ())
        )

    def _is_in_a_row(self, text: str) -> bool:
        """Whether consecutive whole terms have the letters of an exact name: "fabrikam only" those of `FabrikamOnly`.
        Not a part of a term: beside `Solo`, `Solo.Tools` is a different id.
        """
        terms = [letters for term in _BETWEEN_TERMS.split(text) if (letters := _letters(term))]
        for start in range(len(terms)):
            letters = ""
            for end in range(start, len(terms)):
                letters += terms[end]
                at = bisect_left(self._joined, letters)
                if at == len(self._joined) or not self._joined[at].startswith(letters):
                    break
                if self._joined[at] == letters:
                    return True
        return False


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(lower_invariant(text)) if word]


def _parted(text: str) -> str:
    """The text with a space before each word that begins with a capital."""
    return _BEFORE_CAPITAL.sub(" ", text)


def _letters(text: str) -> str:
    """The letters and digits, in lower case."""
    return _BETWEEN_WORDS.sub("", lower_invariant(text))
