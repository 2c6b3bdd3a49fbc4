"""SPDX licence expressions: the syntax, and which of the licences in one a recipient may choose.

Names are not looked up here (`licence_names.py`), and where a package states its licence belongs to `licences.py`.
Source: SPDX specification, annex "SPDX license expressions". A library is not used: the syntax is small, pushed
packages are checked with it too, and the one well-kept library for it raises internal errors on malformed text.
"""

import re
from dataclasses import dataclass
from typing import Final

_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.-]+\+?)")
_OPERATORS: Final = frozenset({"AND", "OR", "WITH"})
LONGEST_EXPRESSION: Final = 500
"""Characters, as on nuget.org."""
# A sensible expression of 500 characters has far fewer nested brackets.
_DEEPEST: Final = 50


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence as written: `name` may end in `+`, `exception` is what follows WITH."""

    name: str
    exception: str = ""

    def __str__(self) -> str:
        return f"{self.name} WITH {self.exception}" if self.exception else self.name


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The recipient chooses one: `A OR B`."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All apply: `A AND B`."""

    parts: "tuple[Expression, ...]"


Expression = Licence | AnyOf | AllOf


def parse_expression(text: str) -> Expression | None:
    """None if the text is not an expression, or longer than `LONGEST_EXPRESSION`."""
    tokens = _tokens(text) if len(text) <= LONGEST_EXPRESSION else None
    if not tokens:
        return None
    reader = _Reader(tokens)
    try:
        expression = reader.any_of(0)
    except _SyntaxError:
        return None
    return expression if reader.is_at_end else None


class _SyntaxError(Exception):
    """Not an expression."""


class _Reader:
    """Recursive descent; WITH binds tighter than AND, AND tighter than OR."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def is_at_end(self) -> bool:
        return self._next == len(self._tokens)

    def any_of(self, depth: int) -> Expression:
        parts = [self._all_of(depth)]
        while self._took("OR"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self, depth: int) -> Expression:
        parts = [self._one(depth)]
        while self._took("AND"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _one(self, depth: int) -> Expression:
        if self._took("("):
            if depth == _DEEPEST:
                raise _SyntaxError
            inner = self.any_of(depth + 1)
            if not self._took(")"):
                raise _SyntaxError
            return inner
        name = self._name()
        return Licence(name, self._name() if self._took("WITH") else "")

    def _name(self) -> str:
        if self.is_at_end or self._tokens[self._next] in _OPERATORS | {"(", ")"}:
            raise _SyntaxError
        self._next += 1
        return self._tokens[self._next - 1]

    def _took(self, token: str) -> bool:
        if self.is_at_end or self._tokens[self._next] != token:
            return False
        self._next += 1
        return True


def _tokens(text: str) -> list[str] | None:
    found: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None if text[position:].strip() else found
        found.append(match[1])
        position = match.end()
    return found
