"""Typosquats: ids that can be mistaken for a known one.

By one or two mistakes in typing, by letters that look alike, by doubled letters, by other separators, or by segments in
another order. Which ids are known, and what follows, belongs to policy rules. The comparison of whole texts by their
appearance is in `lookalikes`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.lookalikes import readings

# Shorter ids are one or two mistakes away from unrelated ones.
_SHORTEST_FOR_ONE, _SHORTEST_FOR_TWO = 5, 12
_MOST_EDITS: Final = 2
# A mistake touches at most two adjacent parts of an id. So of seven parts three are unchanged by two mistakes, and of
# four parts two by one mistake: the parts that most known ids share (their prefix, as a rule) can be left out.
_PARTS_FOR_ONE, _UNUSED_FOR_ONE = 4, 1
_PARTS_FOR_TWO, _UNUSED_FOR_TWO = 7, 2
_MOST_REMEMBERED: Final = 4096
_SEPARATORS: Final = re.compile(r"[._-]")
_DOUBLED: Final = re.compile(r"([a-z])\1+")
_DIGITS: Final = re.compile(r"\d+")
_ALIKE: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s"})


class KnownIds:
    """Looks an id up among known ones: with 10,000 of them in less than a millisecond."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._spelled = {lower_invariant(text): text for text in ids}
        self._by_shape: dict[str, list[str]] = {}
        self._by_segments: dict[tuple[str, ...], list[str]] = {}
        # By length, number of the part, and its letters.
        self._by_part: dict[int, list[dict[str, list[str]]]] = {}
        self._letters = {known: _letters(known) for known in self._spelled}
        self._answers: dict[str, tuple[str, ...]] = {}
        for known in self._spelled:
            self._by_shape.setdefault(_shape(known), []).append(known)
            self._by_segments.setdefault(_segments(known), []).append(known)
            if len(known) >= _SHORTEST_FOR_ONE:
                bounds = _bounds(len(known))
                parts = self._by_part.setdefault(len(known), [{} for _ in bounds])
                for part, (start, end) in zip(parts, bounds, strict=True):
                    part.setdefault(known[start:end], []).append(known)

    def __bool__(self) -> bool:
        return bool(self._spelled)

    def resembled_by(self, lower_id: str) -> tuple[str, ...]:
        """The known ids that an id can be mistaken for, as spelled; empty for an id that is known itself."""
        answer = self._answers.get(lower_id)
        if answer is None:
            if len(self._answers) >= _MOST_REMEMBERED:
                self._answers.clear()
            answer = self._answers[lower_id] = self._resembled_by(lower_id)
        return answer

    def _resembled_by(self, lower_id: str) -> tuple[str, ...]:
        if lower_id in self._spelled:
            return ()
        found: dict[str, None] = {}
        for text in (lower_id,) if lower_id.isascii() else readings(lower_id):
            if text in self._spelled:
                found[text] = None
            found |= dict.fromkeys(self._by_shape.get(_shape(text), ()))
            found |= dict.fromkeys(self._by_segments.get(_segments(text), ()))
            found |= dict.fromkeys(self._mistyped(text))
        return tuple(self._spelled[known] for known in sorted(found))

    def _mistyped(self, text: str) -> Iterator[str]:
        letters, without_digits = _letters(text), _DIGITS.sub("", text)
        for known in self._candidates(text):
            shorter = min(len(text), len(known))
            if shorter < _SHORTEST_FOR_ONE:
                continue
            most = _MOST_EDITS if shorter >= _SHORTEST_FOR_TWO else 1
            # Each mistake changes at most two letters of the set.
            if (letters ^ self._letters[known]).bit_count() > 2 * most:
                continue
            # Another number is no mistake: x64 and x86, or version 2 of a library.
            if is_within(text, known, most) and _DIGITS.sub("", known) != without_digits:
                yield known

    def _candidates(self, text: str) -> set[str]:
        """Known ids that share one part with the text, at about the same place."""
        found: set[str] = set()
        for length in range(len(text) - _MOST_EDITS, len(text) + _MOST_EDITS + 1):
            by_part = self._by_part.get(length)
            if by_part is None:
                continue
            shared = []
            for part, (start, end) in zip(by_part, _bounds(length), strict=True):
                firsts = range(max(0, start - _MOST_EDITS), start + _MOST_EDITS + 1)
                lists = [same for first in firsts if (same := part.get(text[first : first + end - start]))]
                shared.append((sum(map(len, lists)), lists))
            shared.sort(key=_size)
            unused = _UNUSED_FOR_TWO if len(shared) == _PARTS_FOR_TWO else _UNUSED_FOR_ONE
            for _, lists in shared[:-unused]:
                found.update(*lists)
        return found


def _size(shared: tuple[int, object]) -> int:
    return shared[0]


def is_within(one: str, other: str, most: int) -> bool:
    """Whether at most so many letters must be inserted, removed, replaced or swapped with the next to get the other."""
    if one == other:
        return True
    if not most or abs(len(one) - len(other)) > most:
        return False
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    # Nothing is gained by changing what is equal, so the next mistake is here.
    one, other = one[same:], other[same:]
    return (
        is_within(one[1:], other[1:], most - 1)
        or is_within(one[1:], other, most - 1)
        or is_within(one, other[1:], most - 1)
        or (one[:2] == other[1::-1] and len(one) > 1 and is_within(one[2:], other[2:], most - 1))
    )


@lru_cache(maxsize=256)
def _bounds(length: int) -> tuple[tuple[int, int], ...]:
    """Where the parts of a text of this length begin and end."""
    parts = _PARTS_FOR_TWO if length >= _SHORTEST_FOR_TWO else _PARTS_FOR_ONE
    return tuple((length * number // parts, length * (number + 1) // parts) for number in range(parts))


def _letters(text: str) -> int:
    """The set of letters, as bits."""
    bits = 0
    for character in text:
        bits |= 1 << (ord(character) & 63)
    return bits


def _shape(text: str) -> str:
    """The letters as they look at a glance: without separators and repetitions."""
    letters = _DOUBLED.sub(r"\1", _SEPARATORS.sub("", text))
    return letters.replace("rn", "m").replace("vv", "w").translate(_ALIKE)


def _segments(text: str) -> tuple[str, ...]:
    return tuple(sorted(_SEPARATORS.split(text)))
