"""Values of an evaluation: texts that know what they depend on, and items.

A doubt is a sentence about something that only MSBuild could know, such as an environment variable. It follows a value
into everything that is computed from it, so that it is reported where it matters and nowhere else.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Text:
    """A value, as assumed if there are doubts."""

    value: str
    doubts: tuple[str, ...] = ()


NOTHING: Final = Text("")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition holds, as assumed if there are doubts."""

    holds: bool
    doubts: tuple[str, ...] = ()


@dataclass(slots=True)
class Item:
    """One item: `spec` is what `Include` names; metadata by lower-case name; `place` is file and line."""

    spec: str
    place: str
    metadata: dict[str, Text] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Metadata without spaces around it; empty if missing."""
        return unescaped(self.metadata.get(name.lower(), NOTHING).value).strip()


class NotKnown(Exception):
    """A function or construct that is not evaluated here. The message completes the sentence "... is not known"."""


def union(*doubts: Iterable[str]) -> tuple[str, ...]:
    """All of them once, in order."""
    return tuple(dict.fromkeys(each for some in doubts for each in some))


def unescaped(text: str) -> str:
    """`%3B` and the like replaced, as MSBuild does when a value is used."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "%" in text else text


def listed(text: str) -> list[str]:
    """The parts of a list with semicolons, trimmed and unescaped, without empty ones. A `;` inside `@(...)` does not
    separate."""
    parts: list[str] = []
    depth = start = 0
    for at, c in enumerate(text):
        if c == "(" and at and text[at - 1] in "@%$":
            depth += 1
        elif c == ")" and depth:
            depth -= 1
        elif c == ";" and not depth:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [unescaped(trimmed) for part in parts if (trimmed := part.strip())]
