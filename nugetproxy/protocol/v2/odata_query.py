"""Parse the part of the OData query language that NuGet's clients use: `$filter` and `$orderby`.

Rule 1: anything not listed here is refused with an InvalidRequest that names it, never partly understood.
Rule 2: length, depth and number of parts are limited before anything is evaluated.
Evaluation is in `evaluation.py`. Source: OData 2.0, and what clients send.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from nugetproxy.errors import InvalidRequest
from nugetproxy.protocol.v2.expressions import (
    FUNCTIONS,
    And,
    Call,
    Compare,
    Expression,
    Kind,
    Literal,
    Named,
    Not,
    Or,
    Order,
)
from nugetproxy.protocol.v2.properties import BY_NAME, Property

LONGEST: Final = 4096
"""Maximum length of an option. Visual Studio's longest filter names every word of a search three times."""

DEEPEST: Final = 24
"""Maximum nesting of parentheses and negations; real filters have four levels."""

MOST_PARTS: Final = 200
"""Maximum number of literals, properties and calls in a filter: it is evaluated for every version of an id."""

MOST_ORDERS: Final = 6


def parse_filter(text: str) -> Expression:
    """
    Raises:
        InvalidRequest: not a supported filter; the message says why.
    """
    parser = _Parser(text, "$filter")
    expression = parser.expression(0)
    parser.expect_end()
    _expect(expression, Kind.BOOLEAN, "$filter")
    return expression


def parse_orderby(text: str) -> tuple[Order, ...]:
    """
    Raises:
        InvalidRequest: not a supported order; the message says why.
    """
    parser = _Parser(text, "$orderby")
    orders = [parser.order()]
    while parser.take(","):
        orders.append(parser.order())
        if len(orders) > MOST_ORDERS:
            raise InvalidRequest(f"$orderby has more than {MOST_ORDERS} keys")
    parser.expect_end()
    return tuple(orders)


_OPERATORS = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<date>datetime(?:offset)?'[^']*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<number>-?[0-9]{1,19}[lL]?(?![0-9A-Za-z_.]))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SPACE = re.compile(r"\s*", re.ASCII)


class _Token(NamedTuple):
    kind: str
    text: str


class _Parser:
    """Reads one option from left to right; every error is an InvalidRequest that begins with the option's name."""

    def __init__(self, text: str, option: str) -> None:
        if len(text) > LONGEST:
            raise InvalidRequest(f"{option} is longer than {LONGEST} characters")
        self._text = text
        self._option = option
        self._at = 0
        self._parts = 0
        self._token = self._read()

    # --- filters, from lowest to highest precedence ---

    def expression(self, depth: int) -> Expression:
        """Terms joined by `or`."""
        terms = [self._conjunction(depth)]
        while self._take_word("or"):
            terms.append(self._conjunction(depth))
        return self._joined(terms, Or)

    def _conjunction(self, depth: int) -> Expression:
        terms = [self._negation(depth)]
        while self._take_word("and"):
            terms.append(self._negation(depth))
        return self._joined(terms, And)

    def _joined(self, terms: list[Expression], kind: type[And] | type[Or]) -> Expression:
        if len(terms) == 1:
            return terms[0]
        for term in terms:
            _expect(term, Kind.BOOLEAN, self._option)
        return kind(tuple(terms))

    def _negation(self, depth: int) -> Expression:
        if not self._take_word("not"):
            return self._comparison(depth)
        self._check_depth(depth)
        term = self._negation(depth + 1)
        _expect(term, Kind.BOOLEAN, self._option)
        return Not(term)

    def _comparison(self, depth: int) -> Expression:
        left = self._operand(depth)
        if self._token.kind != "name" or self._token.text.lower() not in _OPERATORS:
            return left
        operator = self._next().text.lower()
        right = self._operand(depth)
        return _compared(operator, left, right, self._option)

    def _operand(self, depth: int) -> Expression:
        self._check_depth(depth)
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"{self._option} has more than {MOST_PARTS} parts")
        token = self._next()
        match token.kind:
            case "text":
                return Literal(Kind.TEXT, token.text[1:-1].replace("''", "'"))
            case "number":
                return Literal(Kind.NUMBER, int(token.text.rstrip("lL")))
            case "date":
                return Literal(Kind.DATE, self._date(token.text))
            case "name":
                return self._named(token.text, depth)
            case _ if token.text == "(":
                inner = self.expression(depth + 1)
                self._expect_mark(")")
                return inner
        raise self._unexpected(token)

    def _named(self, name: str, depth: int) -> Expression:
        lower = name.lower()
        if lower in ("true", "false"):
            return Literal(Kind.BOOLEAN, lower == "true")
        if lower == "null":
            return Literal(Kind.NULL, None)
        if self._token.text == "(":
            return self._call(lower, depth)
        return Named(self._property(name))

    def _call(self, function: str, depth: int) -> Call:
        if function not in FUNCTIONS:
            raise InvalidRequest(f"{self._option}: the function '{function[:40]}' is not supported")
        self._expect_mark("(")
        arguments = [self.expression(depth + 1)]
        while self.take(","):
            arguments.append(self.expression(depth + 1))
        self._expect_mark(")")
        wanted, _ = FUNCTIONS[function]
        if len(arguments) != wanted:
            raise InvalidRequest(f"{self._option}: {function} takes {wanted} argument(s)")
        for argument in arguments:
            if argument.kind is not Kind.VERSION:  # compared by its text
                _expect(argument, Kind.TEXT, self._option)
        return Call(function, tuple(arguments))

    def _date(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text.partition("'")[2].rstrip("'"))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise InvalidRequest(
                f"{self._option}: {_printable(text[:60])} is not a date of the form datetime'2026-01-31T00:00:00'"
            ) from error

    # --- orders ---

    def order(self) -> Order:
        """`Version desc`, or `concat(Title,Id)` as the official client writes."""
        token = self._next()
        if token.kind != "name":
            raise self._unexpected(token)
        if token.text.lower() == "concat":
            self._expect_mark("(")
            first = self._property(self._next().text)
            self._expect_mark(",")
            properties: tuple[Property, ...] = (first, self._property(self._next().text))
            self._expect_mark(")")
        else:
            properties = (self._property(token.text),)
        is_descending = self._take_word("desc")
        if not is_descending:
            self._take_word("asc")
        return Order(properties, is_descending)

    # --- tokens ---

    def take(self, mark: str) -> bool:
        """If the next token is this mark, consume it and return True."""
        if self._token != ("mark", mark):
            return False
        self._next()
        return True

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected(self._token)

    def _take_word(self, word: str) -> bool:
        if self._token.kind != "name" or self._token.text.lower() != word:
            return False
        self._next()
        return True

    def _expect_mark(self, mark: str) -> None:
        if not self.take(mark):
            raise self._unexpected(self._token, f"; expected '{mark}'")

    def _next(self) -> _Token:
        token, self._token = self._token, self._read()
        return token

    def _read(self) -> _Token:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches everywhere
            if self._at < len(self._text):
                raise InvalidRequest(f"{self._option} is malformed at {_shown(self._text[self._at :])}")
            return _Token("end", "")
        self._at = match.end()
        kind = match.lastgroup or ""
        return _Token(kind, match[kind])

    def _property(self, name: str) -> Property:
        found = BY_NAME.get(name.lower())
        if found is None:
            raise InvalidRequest(f"{self._option}: packages have no property {_shown(name)}")
        return found

    def _check_depth(self, depth: int) -> None:
        if depth > DEEPEST:
            raise InvalidRequest(f"{self._option} is nested deeper than {DEEPEST} levels")

    def _unexpected(self, token: _Token, more: str = "") -> InvalidRequest:
        what = _shown(token.text) if token.text else "the end"
        return InvalidRequest(f"{self._option}: unexpected {what}{more}")


def _compared(operator: str, left: Expression, right: Expression, option: str) -> Compare:
    kinds = {left.kind, right.kind}
    if Kind.NULL in kinds or Kind.BOOLEAN in kinds:
        is_possible = operator in ("eq", "ne") and (Kind.NULL in kinds or len(kinds) == 1)
    else:
        is_possible = len(kinds) == 1 or kinds == {Kind.VERSION, Kind.TEXT}
    if not is_possible:
        raise InvalidRequest(f"{option}: {left.kind.value} and {right.kind.value} cannot be compared with {operator}")
    return Compare(operator, left, right)


def _expect(expression: Expression, kind: Kind, option: str) -> None:
    if expression.kind is not kind:
        raise InvalidRequest(f"{option}: expected {kind.value}, found {expression.kind.value}")


def _shown(text: str) -> str:
    return f"'{_printable(text[:40])}'"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
