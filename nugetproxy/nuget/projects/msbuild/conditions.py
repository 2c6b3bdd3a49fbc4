"""Conditions: comparisons, And, Or, !, parentheses, Exists and HasTrailingSlash.

A condition that is not understood holds, with a doubt: what it guards is then rather taken than left out.
Source: docs.microsoft.com, visualstudio/msbuild/msbuild-conditions.
"""

import re
from collections.abc import Callable
from typing import Final

from nugetproxy.nuget.projects.msbuild.expansion import Scope, closing, expand
from nugetproxy.nuget.projects.msbuild.functions import parsed_version
from nugetproxy.nuget.projects.msbuild.values import NotKnown, Text, Verdict, unescaped, union
from nugetproxy.nuget.projects.texts import one_line

_LONGEST: Final = 50_000
_DEEPEST: Final = 64
_OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">")
_TRUE: Final = frozenset({"true", "on", "yes", "!false", "!off", "!no"})
_FALSE: Final = frozenset({"false", "off", "no", "!true", "!on", "!yes"})
_WORD: Final = re.compile(r"[^\s()!=<>'\",]+")
_SPACE: Final = re.compile(r"\s*")
_NUMBER: Final = re.compile(r"\s*(?:[+-]?[0-9]{1,15}(?:\.[0-9]{0,15})?|0[xX][0-9A-Fa-f]{1,15})\s*")


def holds(condition: str | None, scope: Scope, exists: Callable[[str], bool]) -> Verdict:
    """Evaluate a condition; without one it holds. `exists` answers for `Exists('path')`."""
    if condition is None or not condition.strip():
        return Verdict(True)
    try:
        if len(condition) > _LONGEST:
            raise NotKnown(f"a condition of more than {_LONGEST} characters")
        return _Parser(condition, scope, exists).whole()
    except NotKnown as unknown:
        return Verdict(True, (_sentence(unknown, condition),))


def _sentence(unknown: NotKnown, condition: str) -> str:
    return f"{unknown} in the condition {one_line(condition)!r} is not known"


class _Parser:
    def __init__(self, text: str, scope: Scope, exists: Callable[[str], bool]) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._scope = scope
        self._exists = exists

    def whole(self) -> Verdict:
        verdict = self._or()
        if self._peek():
            raise NotKnown("the expression")
        return verdict

    def _or(self) -> Verdict:
        verdict = self._and()
        while self._word("or"):
            other = self._and()
            verdict = _either(verdict, other)
        return verdict

    def _and(self) -> Verdict:
        verdict = self._term()
        while self._word("and"):
            verdict = _not(_either(_not(verdict), _not(self._term())))
        return verdict

    def _term(self) -> Verdict:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotKnown(f"an expression nested more than {_DEEPEST} deep")
        try:
            if self._peek() == "!" and self._text[self._at : self._at + 2] != "!=":
                self._at += 1
                return _not(self._term())
            if self._peek() == "(":
                self._at += 1
                verdict = self._or()
                self._must(")")
                return verdict
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Verdict:
        left = self._operand()
        if isinstance(left, Verdict):
            return left
        operator = next((each for each in _OPERATORS if self._rest().startswith(each)), None)
        if operator is None:
            return self._judged(left.doubts, _boolean, left.value)
        self._at += len(operator)
        right = self._operand()
        if isinstance(right, Verdict):
            right = Text(str(right.holds), right.doubts)
        return self._judged(union(left.doubts, right.doubts), _compared, left.value, operator, right.value)

    def _judged(self, doubts: tuple[str, ...], judge: Callable[..., bool], *values: str) -> Verdict:
        """What cannot be judged holds, in doubt; another part may decide all the same (`'$(X)' != '' and ...`)."""
        try:
            return Verdict(judge(*values), doubts)
        except NotKnown as unknown:
            return Verdict(True, (*doubts, _sentence(unknown, self._text)))

    def _operand(self) -> Text | Verdict:
        first = self._peek()
        if first in ("'", '"') and first:
            end = self._quote_end(first)
            text = self._text[self._at + 1 : end]
            self._at = end + 1
            return self._expanded(text)
        if self._text.startswith(("$(", "@(", "%("), self._at):
            end = self._parenthesis(self._at + 1)
            text = self._text[self._at : end + 1]
            self._at = end + 1
            return self._expanded(text)
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise NotKnown("the expression")
        self._at = match.end()
        if self._peek() == "(":
            return self._function(match[0].lower())
        return Text(match[0])

    def _function(self, name: str) -> Verdict:
        end = self._parenthesis(self._at)
        argument = self._text[self._at + 1 : end].strip()
        self._at = end + 1
        if len(argument) > 1 and argument[0] in "'\"" and argument[-1] == argument[0]:
            argument = argument[1:-1]
        path = self._expanded(argument)
        if name == "exists":
            return Verdict(bool(path.value.strip()) and self._exists(path.value.strip()), path.doubts)
        if name == "hastrailingslash":
            return Verdict(path.value.strip().endswith(("/", "\\")), path.doubts)
        raise NotKnown(f"the function {name}")

    def _expanded(self, text: str) -> Text:
        found = expand(text, self._scope)
        return Text(unescaped(found.value), found.doubts)

    def _quote_end(self, quote: str) -> int:
        # A quote inside $(...) belongs to the property function.
        at = self._at + 1
        are_closed = True
        while at < len(self._text):
            if are_closed and self._text.startswith(("$(", "@(", "%("), at):
                end = closing(self._text, at + 2)
                are_closed = end >= 0  # otherwise the rest is plain text, and searched once
                at = end if are_closed else at + 1
            elif self._text[at] == quote:
                return at
            at += 1
        raise NotKnown("the expression")

    def _parenthesis(self, at: int) -> int:
        """The end of the parenthesis that opens at `at`."""
        end = closing(self._text, at + 1)
        if end < 0:
            raise NotKnown("the expression")
        return end

    def _word(self, word: str) -> bool:
        if (
            self._rest()[: len(word)].lower() != word
            or self._text[self._at + len(word) : self._at + len(word) + 1].isalnum()
        ):
            return False
        self._at += len(word)
        return True

    def _must(self, mark: str) -> None:
        if self._peek() != mark:
            raise NotKnown("the expression")
        self._at += 1

    def _peek(self) -> str:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _rest(self) -> str:
        self._peek()
        return self._text[self._at : self._at + 8]


def _either(one: Verdict, other: Verdict) -> Verdict:
    """Or: what is certain on one side makes the other's doubts irrelevant."""
    for side in (one, other):
        if side.holds and not side.doubts:
            return Verdict(True)
    return Verdict(one.holds or other.holds, union(one.doubts, other.doubts))


def _not(verdict: Verdict) -> Verdict:
    return Verdict(not verdict.holds, verdict.doubts)


def _boolean(text: str) -> bool:
    lower = text.strip().lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE or not lower:
        return False
    raise NotKnown(f"the value {one_line(text)!r} as true or false")


def _compared(left: str, operator: str, right: str) -> bool:
    if operator in ("==", "!="):
        return (_equal(left, right)) == (operator == "==")
    if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right):
        return _ORDERS[operator](_number(left), _number(right))
    try:
        return _ORDERS[operator](parsed_version(left), parsed_version(right))
    except ValueError as error:
        raise NotKnown("the comparison") from error


def _equal(left: str, right: str) -> bool:
    if left.lower() == right.lower():
        return True
    if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right):
        return _number(left) == _number(right)
    meanings = [each.strip().lower() for each in (left, right)]
    if all(each in _TRUE | _FALSE for each in meanings):
        return (meanings[0] in _TRUE) == (meanings[1] in _TRUE)
    return False


def _number(text: str) -> float:
    return int(text, 16) if "x" in text.lower() else float(text)


_ORDERS: Final[dict[str, Callable[..., bool]]] = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}
