"""Expressions of the OData query language, as values: the result of parsing a filter.

Parsing is in `odata_query.py`, evaluation in `evaluation.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from nugetproxy.protocol.v2.properties import Edm, Property


class Kind(Enum):
    """The type of an expression's value."""

    BOOLEAN = "a boolean"
    TEXT = "a string"
    VERSION = "a version"
    NUMBER = "a number"
    DATE = "a date"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Literal:
    kind: Kind
    value: str | bool | int | datetime | None


@dataclass(frozen=True, slots=True)
class Named:
    """A property of the entry."""

    definition: Property

    @property
    def kind(self) -> Kind:
        return Kind.VERSION if self.definition.is_version else _KINDS[self.definition.edm]


@dataclass(frozen=True, slots=True)
class Call:
    """`function` is in lower case."""

    function: str
    arguments: "tuple[Expression, ...]"

    @property
    def kind(self) -> Kind:
        return FUNCTIONS[self.function][1]


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` is eq, ne, gt, ge, lt or le."""

    operator: str
    left: "Expression"
    right: "Expression"

    @property
    def kind(self) -> Kind:
        return Kind.BOOLEAN


@dataclass(frozen=True, slots=True)
class And:
    """Terms joined by `and`; at least two."""

    terms: "tuple[Expression, ...]"

    @property
    def kind(self) -> Kind:
        return Kind.BOOLEAN


@dataclass(frozen=True, slots=True)
class Or:
    """Terms joined by `or`; at least two."""

    terms: "tuple[Expression, ...]"

    @property
    def kind(self) -> Kind:
        return Kind.BOOLEAN


@dataclass(frozen=True, slots=True)
class Not:
    term: "Expression"

    @property
    def kind(self) -> Kind:
        return Kind.BOOLEAN


Expression = Literal | Named | Call | Compare | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an `$orderby`: a property, or several concatenated."""

    properties: tuple[Property, ...]
    is_descending: bool = False


def properties_in(expression: Expression) -> Iterator[Property]:
    """Every property that an expression mentions."""
    match expression:
        case Named(definition):
            yield definition
        case Call(_, parts) | And(parts) | Or(parts):
            for part in parts:
                yield from properties_in(part)
        case Compare(_, left, right):
            yield from properties_in(left)
            yield from properties_in(right)
        case Not(term):
            yield from properties_in(term)


_KINDS = {
    Edm.STRING: Kind.TEXT,
    Edm.BOOLEAN: Kind.BOOLEAN,
    Edm.INT32: Kind.NUMBER,
    Edm.INT64: Kind.NUMBER,
    Edm.DATE_TIME: Kind.DATE,
}

FUNCTIONS: dict[str, tuple[int, Kind]] = {
    "substringof": (2, Kind.BOOLEAN),
    "startswith": (2, Kind.BOOLEAN),
    "endswith": (2, Kind.BOOLEAN),
    "tolower": (1, Kind.TEXT),
    "toupper": (1, Kind.TEXT),
    "trim": (1, Kind.TEXT),
    "concat": (2, Kind.TEXT),
}
"""All arguments are texts."""
