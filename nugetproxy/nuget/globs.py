"""Patterns of package ids in API keys and settings: `*` matches anything; case is ignored.

Reserved prefixes have rules of their own, see `reservations`.
"""

import re
from collections.abc import Iterable
from typing import Final

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.identity import LONGEST_ID, lower_invariant

EVERYTHING: Final = "*"

_GLOB: Final = re.compile(r"[\w.*-]+")


def checked_glob(text: str) -> str:
    """`text`, if it can match an id. Raises InvalidRequest."""
    if len(text) > LONGEST_ID or not _GLOB.fullmatch(text):
        raise InvalidRequest(
            f"{text[:LONGEST_ID]!r} is not a pattern: expected a package id, or one with *, such as 'Contoso.*'"
        )
    if text.endswith((".", "-")):
        raise InvalidRequest(f"no package id ends like {text!r}; did you mean '{text}*'?")
    return text


def glob_matches(glob: str, lower_id: str) -> bool:
    """Whether the glob matches the id. Takes time proportional to both: no pattern can make it slow."""
    first, *rest = lower_invariant(glob).split("*")
    if not rest:
        return lower_id == first
    *middle, last = rest
    if not lower_id.startswith(first) or not lower_id.endswith(last):
        return False
    at, end = len(first), len(lower_id) - len(last)
    for part in middle:
        found = lower_id.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def globs_overlap(one: str, other: str) -> bool:
    """Whether some text, of any length, matches both globs. Takes time proportional to both."""
    if "*" not in one:
        return glob_matches(other, lower_invariant(one))
    if "*" not in other:
        return glob_matches(one, lower_invariant(other))
    # Between beginning and end each has a star, which matches whatever the other needs there.
    (first, *_, last), (other_first, *_, other_last) = (lower_invariant(glob).split("*") for glob in (one, other))
    begin_alike = first.startswith(other_first) or other_first.startswith(first)
    return begin_alike and (last.endswith(other_last) or other_last.endswith(last))


def any_glob_matches(globs: Iterable[str], lower_id: str) -> bool:
    return any(glob_matches(glob, lower_id) for glob in globs)
