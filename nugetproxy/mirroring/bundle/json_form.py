"""Dataclasses as JSON objects and back, with exact fields and types: for the two files that describe a bundle.

Knows nothing about their content.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import orjson

_SHA512_BYTES: Final = 64
_PLAIN: Final = frozenset({str, int, float, bool, tuple, type(None)})


def is_sha512(text: object) -> bool:
    """Whether it is a SHA-512 in base64, in its one form."""
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return False
    return len(raw) == _SHA512_BYTES and base64.b64encode(raw).decode() == text


def object_of(content: bytes) -> dict[str, Any]:
    """The JSON object. Raises ValueError for any other content."""
    given = orjson.loads(content)  # its error is a ValueError
    if not isinstance(given, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - its readers expect one kind of error
    return given


def values_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass's instance, in their order; of None, none."""
    return {} if value is None else {name: _value(getattr(value, name)) for name in _names(type(value))}  # type: ignore[arg-type]  # as below


def _value(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value):
        return values_of(value)
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value


def read_as(form: type[Any], given: dict[str, Any], parts: Mapping[str, Any] | None = None) -> Any:
    """A value of this class from the fields of an object, of which `parts` were read already. Raises ValueError."""
    checks = _checks(form)  # type: ignore[arg-type]  # a class is hashable
    values = dict(parts or {})
    for name, value in given.items():
        check = checks.get(name)
        if check is None or name in values:
            raise ValueError(f"it has the field {name[:40]!r}")
        if not check(value):
            raise ValueError(f"its {name} has another type")
        values[name] = tuple(value) if type(value) is list else value
    if values.keys() != checks.keys():
        raise ValueError(f"it has no {', '.join(sorted(checks.keys() - values.keys()))}")
    return form(**values)


@cache
def _names(form: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(form))


@cache
def _checks(form: type[Any]) -> dict[str, Callable[[Any], bool]]:
    return {name: _check_of(expected) for name, expected in get_type_hints(form).items()}


def _check_of(expected: Any) -> Callable[[Any], bool]:
    """Whether a value has a type. Exact types: isinstance accepts a bool as int."""
    if expected == tuple[str, ...]:
        return lambda value: type(value) is list and all(type(each) is str for each in value)
    if expected in (Mapping[str, str], Mapping[str, int]):
        of_values = get_args(expected)[1]
        return lambda value: type(value) is dict and all(type(each) is of_values for each in value.values())
    if expected == bool | None:
        return lambda value: value is None or type(value) is bool
    if expected is float:
        return lambda value: type(value) is float and math.isfinite(value)
    return lambda value: type(value) is expected
