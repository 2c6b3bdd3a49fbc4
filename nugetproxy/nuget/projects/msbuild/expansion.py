"""Expand `$(Property)`, property functions, `@(Item)` and `%(Metadata)` in a text.

What functions compute is in `functions.py`, what names stand for comes from the scope.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from nugetproxy.nuget.projects.msbuild.functions import LONGEST, Value, call_member, call_static, indexed, shown
from nugetproxy.nuget.projects.msbuild.values import Item, NotKnown, Text, union
from nugetproxy.nuget.projects.texts import one_line

_DEEPEST: Final = 16
_MARK: Final = re.compile(r"[$@%]\(")
_QUOTES: Final = "'\"`"


class Scope(Protocol):
    """What names stand for at one place of an evaluation."""

    def property(self, name: str) -> Text: ...

    def items(self, name: str) -> Sequence[Item] | None:
        """None while items are not known yet: their names then stay in the text."""

    def metadata(self, name: str) -> Text | None:
        """None where there is no item whose metadata it could be."""

    def function(self, name: str, arguments: Sequence[str]) -> Text | None:
        """A function that looks at files or at the machine; None if the name is not one of them."""


def expand(text: str, scope: Scope) -> Text:
    """The text with everything expanded. What is not known becomes empty, with a doubt."""
    return _expand(text, scope, 0)


def _expand(text: str, scope: Scope, depth: int) -> Text:
    if "$(" not in text and "@(" not in text and "%(" not in text:
        return Text(text)
    if depth > _DEEPEST:
        return Text("", (f"an expression nested more than {_DEEPEST} deep is not known",))
    parts: list[str] = []
    doubts: list[tuple[str, ...]] = []
    at = size = 0
    while at < len(text):
        mark = _MARK.search(text, at)
        start = mark.start() if mark else -1
        end = closing(text, start + 2) if start >= 0 else -1
        if end < 0:
            parts.append(text[at:])
            break
        parts.append(text[at:start])
        whole, body = text[start : end + 1], text[start + 2 : end]
        value = _ONE[text[start]](body, whole, scope, depth)
        size += len(value.value)
        if size > LONGEST:
            return Text("", (f"a value of more than {LONGEST} characters is not known",))
        parts.append(value.value)
        doubts.append(value.doubts)
        at = end + 1
    return Text("".join(parts), union(*doubts))


def closing(text: str, at: int) -> int:
    """The position of the parenthesis that closes the one before `at`; -1 if there is none."""
    depth, quote = 1, ""
    for position in range(at, len(text)):
        c = text[position]
        if quote:
            quote = "" if c == quote else quote
        elif c in _QUOTES:
            quote = c
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                return position
    return -1


def _property(body: str, whole: str, scope: Scope, depth: int) -> Text:
    expression = body.strip()
    if not expression or _is_name(expression):
        return scope.property(body) if body == expression else Text("")  # with spaces it is no name, and empty
    doubts: list[tuple[str, ...]] = []
    try:
        value, rest = _first(expression, scope, depth, doubts)
        while rest:
            value, rest = _next(value, rest, scope, depth, doubts)
    except NotKnown as unknown:
        return Text("", union(*doubts, (f"{unknown} in {one_line(whole)} is not known",)))
    return Text(shown(value)[: LONGEST + 1], union(*doubts))


def _first(expression: str, scope: Scope, depth: int, doubts: list[tuple[str, ...]]) -> tuple[Value, str]:
    """The value with which a chain begins, and the rest of the chain."""
    if not expression.startswith("["):
        size = next((at for at, c in enumerate(expression) if not _is_name_character(c)), len(expression))
        if size == 0 or (size < len(expression) and expression[size] not in ".["):
            raise NotKnown("the expression")
        found = scope.property(expression[:size])
        doubts.append(found.doubts)
        return found.value, expression[size:]
    type_name, bracket, rest = expression[1:].partition("]")
    if not bracket or not rest.startswith("::"):
        raise NotKnown("the expression")
    name, arguments, rest = _call(rest[2:], scope, depth, doubts)
    texts = [shown(each) for each in arguments or ()]
    found_here = scope.function(f"{type_name.strip()}::{name}".lower(), texts)
    if found_here is None:
        return call_static(type_name.strip(), name, arguments), rest
    doubts.append(found_here.doubts)
    return found_here.value, rest


def _next(value: Value, rest: str, scope: Scope, depth: int, doubts: list[tuple[str, ...]]) -> tuple[Value, str]:
    if rest.startswith("["):
        index, bracket, after = rest[1:].partition("]")
        if not bracket:
            raise NotKnown("the expression")
        return indexed(value, index.strip()), after
    if not rest.startswith("."):
        raise NotKnown("the expression")
    name, arguments, after = _call(rest[1:], scope, depth, doubts)
    return call_member(value, name, arguments), after


def _call(
    text: str, scope: Scope, depth: int, doubts: list[tuple[str, ...]]
) -> tuple[str, Sequence[Value] | None, str]:
    """Name, arguments (None without parentheses) and what follows."""
    size = next((at for at, c in enumerate(text) if not _is_name_character(c)), len(text))
    name, rest = text[:size], text[size:].lstrip()
    if not rest.startswith("("):
        return name, None, rest
    end = closing(rest, 1)
    if end < 0:
        raise NotKnown("the expression")
    arguments: list[Value] = []
    for argument in _arguments(rest[1:end]):
        is_quoted = len(argument) > 1 and argument[0] in _QUOTES and argument[-1] == argument[0]
        expanded = _expand(argument[1:-1] if is_quoted else argument, scope, depth + 1)
        doubts.append(expanded.doubts)
        arguments.append(None if not is_quoted and argument == "null" else expanded.value)
    return name, arguments, rest[end + 1 :].lstrip()


def _arguments(text: str) -> list[str]:
    if not text.strip():
        return []
    parts = [""]
    depth, quote = 0, ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in _QUOTES:
            quote = c
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += c
    return [part.strip() for part in parts]


def _items(body: str, whole: str, scope: Scope, depth: int) -> Text:
    name, arrow, transform = body.partition("->")
    found = scope.items(name.strip())
    if found is None:
        return Text(whole)
    doubts = union(*(item.doubts for item in found))
    if not arrow and "," not in name:
        return Text(";".join(item.spec for item in found), doubts)
    function = transform.strip().lower()
    if function in ("count()", "'%(identity)'"):
        return Text(str(len(found)) if function == "count()" else ";".join(item.spec for item in found), doubts)
    return Text("", (*doubts, f"the item expression {one_line(whole)} is not known"))


def _metadata(body: str, whole: str, scope: Scope, depth: int) -> Text:
    found = scope.metadata(body.rpartition(".")[2].strip())
    return Text(whole) if found is None else found


def _is_name_character(c: str) -> bool:
    return c.isalnum() or c in "_-"


def _is_name(text: str) -> bool:
    return all(map(_is_name_character, text))


_ONE: Final = {"$": _property, "@": _items, "%": _metadata}
