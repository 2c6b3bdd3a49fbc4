"""Evaluate filters and orders over rows, in memory.

Texts compare case-insensitively, as in nuget.org's database; versions compare as versions. A comparison with a missing
value is false, as in SQL, except for `ne`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import ge, gt, le, lt

from nugetproxy.errors import InvalidVersion
from nugetproxy.nuget.identity import lower_invariant
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v2.expressions import And, Call, Compare, Expression, Kind, Literal, Named, Not, Or, Order
from nugetproxy.protocol.v2.properties import Property, Value
from nugetproxy.protocol.v2.rows import Row

Test = Callable[[Row], bool]
_Read = Callable[[Row], Value]

_INEQUALITIES: dict[str, Callable[..., bool]] = {"gt": gt, "ge": ge, "lt": lt, "le": le}


def filtered(rows: Iterable[Row], expression: Expression | None) -> list[Row]:
    """The rows that match the expression, in their order."""
    if expression is None:
        return list(rows)
    holds = _test(expression)
    return [row for row in rows if holds(row)]


def ordered(rows: Sequence[Row], orders: Sequence[Order]) -> list[Row]:
    """Sort rows (stable). Without orders nothing moves."""
    result = list(rows)
    for order in reversed(orders):
        result.sort(key=_sort_key(order), reverse=order.is_descending)
    return result


# --- filters ----------------------------------------------------------------------------------------------------------


def _test(expression: Expression) -> Test:
    match expression:
        case And(terms):
            tests = [_test(term) for term in terms]
            return lambda row: all(test(row) for test in tests)
        case Or(terms):
            tests = [_test(term) for term in terms]
            return lambda row: any(test(row) for test in tests)
        case Not(term):
            test = _test(term)
            return lambda row: not test(row)
        case Compare(operator, left, right):
            return _comparison(operator, left, right)
        case Call(function, arguments):
            return _text_test(function, arguments)
    read = _read(expression)
    return lambda row: read(row) is True


def _comparison(operator: str, left: Expression, right: Expression) -> Test:
    if left.kind is Kind.BOOLEAN or right.kind is Kind.BOOLEAN:
        return _equality(operator, _truth(left), _truth(right))
    if Kind.VERSION in (left.kind, right.kind):
        reads = _version_read(left), _version_read(right)
    else:
        reads = _read(left), _read(right)
    if operator in ("eq", "ne"):
        return _equality(operator, *reads)
    compare = _INEQUALITIES[operator]
    first, second = reads

    def holds(row: Row) -> bool:
        a, b = first(row), second(row)
        return a is not None and b is not None and compare(a, b)

    return holds


def _equality(operator: str, left: _Read, right: _Read) -> Test:
    if operator == "eq":
        return lambda row: left(row) == right(row)
    return lambda row: left(row) != right(row)


def _truth(expression: Expression) -> _Read:
    return _read(expression) if isinstance(expression, Literal) else _test(expression)


def _read(expression: Expression) -> _Read:
    """The value of an operand; texts are lower-cased."""
    match expression:
        case Literal(_, value):
            constant = lower_invariant(value) if isinstance(value, str) else value
            return lambda _: constant
        case Named(definition):
            return lambda row: _folded(definition.value(row))
        case Call(function, arguments):
            return _text_call(function, arguments)
        case _:
            return _test(expression)


def _version_read(expression: Expression) -> _Read:
    """As `_read`, for an operand compared with a version; a text that is not a version equals no version."""
    if isinstance(expression, Named) and expression.kind is Kind.VERSION:
        return expression.definition.value
    read = _read(expression)
    if isinstance(expression, Literal):
        value = expression.value
        constant = _version(value) if isinstance(value, str) else None
        return lambda _: constant

    def version(row: Row) -> Value:
        text = read(row)
        return _version(text) if isinstance(text, str) else None

    return version


def _version(text: str) -> NuGetVersion | None:
    try:
        return NuGetVersion.parse(text)
    except InvalidVersion:
        return None


def _folded(value: Value) -> Value:
    return lower_invariant(value) if isinstance(value, str) else value


# --- functions --------------------------------------------------------------------------------------------------------


def _text_of(expression: Expression) -> Callable[[Row], str | None]:
    read = _read(expression)

    def text(row: Row) -> str | None:
        value = read(row)
        if isinstance(value, NuGetVersion):
            return value.lower
        return value if isinstance(value, str) else None

    return text


def _text_call(function: str, arguments: Sequence[Expression]) -> _Read:
    texts = [_text_of(argument) for argument in arguments]
    if function == "concat":
        first, second = texts
        return lambda row: (first(row) or "") + (second(row) or "")
    (only,) = texts
    if function == "trim":
        return lambda row: None if (text := only(row)) is None else text.strip()
    return only  # everything is lower-cased already


def _text_test(function: str, arguments: Sequence[Expression]) -> Test:
    # substringof takes the searched text first; the others take it second.
    sought, place = arguments if function == "substringof" else reversed(arguments)
    find, within = _text_of(sought), _text_of(place)
    if function == "substringof" and _is_tags(place):
        # Clients look for whole tags with blanks on both sides.
        return lambda row: (part := find(row)) is not None and part in f" {within(row) or ''} "
    compare = {"substringof": str.__contains__, "startswith": str.startswith, "endswith": str.endswith}[function]

    def holds(row: Row) -> bool:
        text, part = within(row), find(row)
        return text is not None and part is not None and bool(compare(text, part))

    return holds


def _is_tags(expression: Expression) -> bool:
    match expression:
        case Call("tolower" | "toupper", (inner,)):
            return _is_tags(inner)
        case Named(definition):
            return definition.name == "Tags"
    return False


# --- orders -----------------------------------------------------------------------------------------------------------


def _sort_key(order: Order) -> Callable[[Row], tuple[bool, object]]:
    if len(order.properties) > 1:
        return lambda row: (True, "".join(str(_folded(each.value(row)) or "") for each in order.properties))
    (only,) = order.properties
    return lambda row: _comparable(only, row)


def _comparable(definition: Property, row: Row) -> tuple[bool, str | int | datetime | NuGetVersion]:
    """Missing values sort first."""
    value = _folded(definition.value(row))
    return (False, 0) if value is None else (True, value)
