"""Dataclasses as JSON objects and back, with exact fields and types: for the two files that describe a bundle.

Knows nothing about their content.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, get_type_hints

import orjson

_SHA512_BYTES: Final = 64


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
    if value is None:
        return {}
    return {field.name: _value(getattr(value, field.name)) for field in fields(value)}


def _value(value: Any) -> Any:
    if is_dataclass(value):
        return values_of(value)
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value


def read_as(form: type[Any], given: dict[str, Any], parts: Mapping[str, Any] | None = None) -> Any:
    """A value of this class from the fields of an object, of which `parts` were read already. Raises ValueError."""
    types = _types(form)  # type: ignore[arg-type]  # a class is hashable
    values = dict(parts or {})
    for name, text in given.items():
        if name not in types or name in values:
            raise ValueError(f"it has the field {name[:40]!r}")
        values[name] = _typed(types[name], name, text)
    if values.keys() != types.keys():
        raise ValueError(f"it has no {', '.join(sorted(types.keys() - values.keys()))}")
    return form(**values)


@cache
def _types(form: type[Any]) -> dict[str, Any]:
    return get_type_hints(form)


def _typed(expected: Any, name: str, value: Any) -> Any:
    # Exact types: isinstance accepts a bool as int.
    if expected == tuple[str, ...] and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if expected == Mapping[str, str] and isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    if expected == Mapping[str, int] and isinstance(value, dict) and all(type(v) is int for v in value.values()):
        return value
    if expected == bool | None and (value is None or type(value) is bool):
        return value
    if type(value) is expected and (expected is not float or math.isfinite(value)):
        return value
    raise ValueError(f"its {name} has another type")
