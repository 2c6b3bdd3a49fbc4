"""Parses a request to deprecate: nuget.org's parameters from a query, a form or JSON. Pure.

A request without a reason removes a deprecation, so nothing is guessed: a field that is misspelt or has an invalid
value is refused by name (nuget-protocol: push, endpoints).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import orjson

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion
from nugetproxy.hosting.publish import ListedVerb
from nugetproxy.nuget.identity import PackageId
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.deprecation import ANY_VERSION, Deprecation, at_least
from nugetproxy.web.requests.first_part import LONGEST_PARAMETERS, boundary_of

T = TypeVar("T")

_REASONS: Final = {"isLegacy": "Legacy", "hasCriticalBugs": "CriticalBugs", "isOther": "Other"}
_TEXTS: Final = ("message", "alternatePackageId", "alternatePackageVersion", "listedVerb")
_NAMES: Final = {name.lower(): name for name in ("versions", *_REASONS, *_TEXTS)}

_INDEX = re.compile(r"\[[0-9]*\]\Z")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class DeprecationRequest:
    """`deprecation` None removes one."""

    versions: tuple[NuGetVersion, ...]
    deprecation: Deprecation | None
    listed_verb: ListedVerb


def read_deprecation(query: Iterable[tuple[str, str]], content_type: str, body: bytes) -> DeprecationRequest:
    """`content_type` is the header, empty if there is none. Names are case-insensitive; fields from all places are
    combined.

    Raises InvalidRequest, which names the field and the valid values.
    """
    fields: dict[str, list[str]] = {}
    for given, text in (*query, *_fields_of(content_type, body)):
        name = _NAMES.get(_INDEX.sub("", given).lower())
        if name is None:
            raise InvalidRequest(f"unknown field {_shown(given)}; the fields are {', '.join(_NAMES.values())}")
        fields.setdefault(name, []).append(text)
    texts = [text for value in fields.get("versions", ()) for text in value.split(",") if text.strip()]
    versions = tuple(_version("versions", text) for text in texts)
    if not versions:
        raise InvalidRequest("no versions to deprecate: pass versions=1.0.0, once for each version")
    return DeprecationRequest(versions, _deprecation(fields), _listed_verb(fields))


def _deprecation(fields: dict[str, list[str]]) -> Deprecation | None:
    reasons = tuple(reason for name, reason in _REASONS.items() if _is_true(fields, name))
    alternate, version = _one(fields, "alternatePackageId").strip(), _one(fields, "alternatePackageVersion").strip()
    wanted = at_least(_version("alternatePackageVersion", version)) if version else ANY_VERSION
    if alternate:
        _of_field("alternatePackageId", alternate, PackageId.parse)
    elif version:
        raise InvalidRequest("alternatePackageVersion requires alternatePackageId, which is missing")
    return Deprecation(reasons, _one(fields, "message"), alternate, wanted) if reasons else None


def _listed_verb(fields: dict[str, list[str]]) -> ListedVerb:
    text = _one(fields, "listedVerb", ListedVerb.UNCHANGED).strip()
    for verb in ListedVerb:
        if verb.value.lower() == text.lower():
            return verb
    raise InvalidRequest(f"listedVerb is {_shown(text)}; it must be one of {', '.join(ListedVerb)}")


def _is_true(fields: dict[str, list[str]], name: str) -> bool:
    text = _one(fields, name, "false").strip()
    if text.lower() not in ("true", "false"):
        raise InvalidRequest(f"{name} is {_shown(text)}; it must be true or false")
    return text.lower() == "true"


def _one(fields: dict[str, list[str]], name: str, default: str = "") -> str:
    given = list(dict.fromkeys(fields.get(name, [default])))
    if len(given) > 1:
        raise InvalidRequest(f"{name} is both {_shown(given[0])} and {_shown(given[1])}; give it once")
    return given[0]


def _version(field: str, text: str) -> NuGetVersion:
    return _of_field(field, text, NuGetVersion.parse)


def _of_field(field: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except (InvalidVersion, InvalidPackageId) as error:
        raise InvalidRequest(f"{field}: {error}") from error


def _fields_of(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return
    if kind == "application/json":
        yield from _json_fields(body)
    elif kind == "multipart/form-data":
        yield from _multipart_fields(boundary_of(content_type), body)
    elif kind in ("application/x-www-form-urlencoded", ""):
        yield from parse_qsl(_text(body), keep_blank_values=True)
    else:
        raise InvalidRequest(
            f"the body is {_shown(kind)}; send application/x-www-form-urlencoded, multipart/form-data or "
            "application/json"
        )


def _json_fields(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest("the body is not a JSON object")
    for name, value in document.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:  # null means not given
                yield name, str(one)


def _multipart_fields(boundary: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    """The parts of a form, as `curl -F` sends it (RFC 7578)."""
    before, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or before.strip() or not parts[-1].startswith(b"--"):
        raise InvalidRequest("the body is not the multipart form that its headers announce, or it is incomplete")
    for part in parts[:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        yield _name_of_part(head), _text(value)


def _name_of_part(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            if len(value) > LONGEST_PARAMETERS:
                raise InvalidRequest(f"a Content-Disposition is longer than {LONGEST_PARAMETERS} bytes")
            message = Message()
            message["Content-Disposition"] = _text(value).replace("\n", " ").strip()
            found = message.get_param("name", "", "Content-Disposition")
            return found if isinstance(found, str) else ""
    return ""


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
