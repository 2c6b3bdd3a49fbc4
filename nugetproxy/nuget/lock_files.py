"""Read the packages that a project needs from `packages.lock.json`, `project.assets.json` or a plain list.

The callers decide what to do with them (prefetch, compare hashes).
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from nugetproxy.errors import InvalidPackageId, InvalidRequest, InvalidVersion
from nugetproxy.nuget.identity import PackageIdentity

_SHA512_SIZE = 64
_PROJECT = "project"
_PACKAGE = "package"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One package, and the base64 SHA-512 of its content if the file has it."""

    identity: PackageIdentity
    content_hash: str | None = None


def read_wanted(name: str, data: bytes) -> tuple[Wanted, ...]:
    """The packages that the file names, without duplicates, in file order. `name` is only used in messages.

    JSON is recognised by its first character, and the two JSON formats by their keys. A plain list has one `Id Version`
    per line; `#` begins a comment.

    Raises:
        InvalidRequest: with the file and the offending line or key.
    """
    content = data.removeprefix(_BYTE_ORDER_MARK)
    found: dict[PackageIdentity, Wanted] = {}
    for place, wanted in _from_json(name, content) if content.lstrip().startswith(b"{") else _from_lines(name, content):
        known = found.get(wanted.identity)
        if known is None or known.content_hash is None:
            found[wanted.identity] = wanted
        elif wanted.content_hash not in (None, known.content_hash):
            raise InvalidRequest(f"{place}: {wanted.identity} has two different content hashes")
    return tuple(found.values())


def _from_lines(name: str, content: bytes) -> Iterator[tuple[str, Wanted]]:
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{name}: not UTF-8 text (byte {error.start})") from error
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        place = f"{name}, line {number}"
        if not words:
            continue
        if len(words) != 2:
            raise InvalidRequest(f"{place}: expected an id and a version, found '{_shown(' '.join(words))}'")
        yield place, Wanted(_identity(place, words[0], words[1]))


def _from_json(name: str, content: bytes) -> Iterator[tuple[str, Wanted]]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{name}, line {error.lineno}: not valid JSON: {error.msg}") from error
    if "libraries" in document:
        return _from_assets(name, _object(document["libraries"], f"{name}, libraries"))
    if "dependencies" in document:
        return _from_lock(name, _object(document["dependencies"], f"{name}, dependencies"))
    raise InvalidRequest(f"{name}: it has neither 'dependencies' (lock file) nor 'libraries' (assets file)")


def _from_lock(name: str, frameworks: dict[str, Any]) -> Iterator[tuple[str, Wanted]]:
    for framework, packages in frameworks.items():
        for package_id, entry in _object(packages, f"{name}, {_shown(framework)}").items():
            place = f"{name}, {_shown(framework)}, {_shown(package_id)}"
            fields = _object(entry, place)
            if _text(fields, "type", place).lower() == _PROJECT:
                continue
            identity = _identity(place, package_id, _text(fields, "resolved", place))
            yield place, Wanted(identity, _content_hash(fields, "contentHash", place))


def _from_assets(name: str, libraries: dict[str, Any]) -> Iterator[tuple[str, Wanted]]:
    for key, entry in libraries.items():
        place = f"{name}, libraries, {_shown(key)}"
        fields = _object(entry, place)
        if _text(fields, "type", place).lower() != _PACKAGE:
            continue
        package_id, _, version = key.partition("/")
        yield place, Wanted(_identity(place, package_id, version), _content_hash(fields, "sha512", place))


def _identity(place: str, package_id: str, version: str) -> PackageIdentity:
    try:
        return PackageIdentity.parse(package_id, version)
    except (InvalidPackageId, InvalidVersion) as error:
        raise InvalidRequest(f"{place}: {error}") from error


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{place}: expected an object")
    return value


def _text(fields: dict[str, Any], key: str, place: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise InvalidRequest(f"{place}: {key} is missing or not a string")
    return value


def _content_hash(fields: dict[str, Any], key: str, place: str) -> str | None:
    if fields.get(key) is None:
        return None
    return sha512_of(_text(fields, key, place), f"{place}: {key}")


def sha512_of(text: str, what: str) -> str:
    """A base64 SHA-512 in its usual form. Raises InvalidRequest; `what` names it in the message."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{what} is not base64") from error
    if len(digest) != _SHA512_SIZE:
        raise InvalidRequest(f"{what} is not a SHA-512")
    return base64.b64encode(digest).decode()


def _shown(key: str) -> str:
    # A key is untrusted text, and a message is one line.
    return "".join(c if c.isprintable() else "?" for c in key[:100])
