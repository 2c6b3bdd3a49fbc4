"""A hot answer as bytes on disk, and back. Pure.

Where the bytes are kept belongs to `web.hot.answer_file`.
"""

import struct
import zlib
from typing import Any, Final

import orjson

from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot.answer import HotAnswer, HotVariant, Key
from nugetproxy.web.hot.open_files import KeptFile

HEADER: Final = struct.Struct("=4sIIIII")
"""Magic; checksum of all that follows it; lengths of key, description, identity form and gzip form. The bytes of these
follow in that order.
"""

_MAGIC: Final = b"NPh2"
_SUMMED: Final = 8  # where the bytes begin that the checksum covers
_NONE: Final = 0xFFFFFFFF


def name_of(key: Key) -> bytes:
    """The key as it is written."""
    return key if isinstance(key, bytes) else b" ".join(key)


def record_of(key: Key, answer: HotAnswer) -> bytes:
    """All of the answer, except what counts its requests."""
    was = answer.provenance
    provenance = [was.outcome.value, was.age, was.fresh_for, was.stored, was.detail]
    forms = [_described(form) for form in (answer.identity, answer.gzip)]
    flags = [answer.is_negotiated, answer.has_ttl, answer.needs_reader, answer.gzip_unasked]
    depends = [answer.epoch, answer.group, answer.generation]
    times = [answer.expires, answer.since]
    description = orjson.dumps([answer.resource, provenance, forms, flags, depends, times, answer.digest, answer.count])
    name = name_of(key)
    bodies = [
        None if form is None or not isinstance(form.body, bytes) else form.body
        for form in (answer.identity, answer.gzip)
    ]
    lengths = [_NONE if body is None else len(body) for body in bodies]
    sizes = struct.pack("=IIII", len(name), len(description), *lengths)
    rest = b"".join((sizes, name, description, *(body for body in bodies if body is not None)))
    return struct.pack("=4sI", _MAGIC, zlib.crc32(rest)) + rest


def length_of(start: bytes) -> int:
    """The length of the record that starts like this; 0 if none does."""
    if len(start) < HEADER.size or not start.startswith(_MAGIC):
        return 0
    lengths: tuple[int, ...] = HEADER.unpack_from(start)[2:]
    return HEADER.size + sum(length for length in lengths if length != _NONE)


def answer_of(name: bytes, record: bytes) -> HotAnswer | None:
    """The answer, unless the record is damaged or belongs to another key."""
    _, checksum, *lengths = HEADER.unpack_from(record)
    if zlib.crc32(memoryview(record)[_SUMMED:]) != checksum:
        return None
    parts, at = [], HEADER.size
    for length in lengths:
        end = at if length == _NONE else at + length
        parts.append(None if length == _NONE else record[at:end])
        at = end
    its_name, description, *bodies = parts
    if its_name != name or description is None:
        return None
    resource, provenance, forms, flags, depends, times, digest, count = orjson.loads(description)
    is_negotiated, has_ttl, needs_reader, gzip_unasked = flags
    identity, gzip = (_form(form, body) for form, body in zip(forms, bodies, strict=True))
    epoch, group, generation = depends
    expires, since = times
    return HotAnswer(
        resource,
        Provenance(Outcome(provenance[0]), *provenance[1:]),
        identity,
        gzip,
        is_negotiated,
        has_ttl,
        float("inf") if expires is None else expires,  # JSON has no infinity
        needs_reader=needs_reader,
        gzip_unasked=gzip_unasked,
        digest=digest,
        since=since,
        epoch=epoch,
        group=group,
        generation=generation,
        count=count,
    )


def _described(form: HotVariant | None) -> list[object] | None:
    if form is None:
        return None
    file = form.body if isinstance(form.body, KeptFile) else None
    where = None if file is None else [file.path, file.size, file.inode, file.changed]
    return [*form.described(), form.modified, where]


def _form(described: list[Any] | None, body: bytes | None) -> HotVariant | None:
    if described is None:
        return None
    *texts, modified, where = described
    return HotVariant.from_description(texts, KeptFile.known(*where) if body is None else body, modified)
