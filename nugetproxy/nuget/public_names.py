"""The names that an assembly shows to others: public types, and their public methods, properties, events and fields.

For comparing versions, so only names are read: overloads and signatures look alike. The file is untrusted: no value is
used before it is checked against the file's length.
Source: ECMA-335 II.24.2.6 (the #~ stream), II.22 (tables), II.23.1 (flags).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import shown
from nugetproxy.nuget.executable import data_directory, offset_of

MOST_NAMES: Final = 100_000
"""Rows of one table, and members of all types together. The largest assemblies of the framework have fewer."""

_CLI_HEADER: Final = 14
_CLI: Final = struct.Struct("<L2H2L")
_ROOT: Final = struct.Struct("<4s2H2L")
_STREAM: Final = struct.Struct("<2L")
_TABLES: Final = struct.Struct("<L4B2Q")
_MOST_STREAMS: Final = 32
_LONGEST_NAME: Final = 1_024

_MODULE, _TYPE_REF, _TYPE_DEF, _FIELD_PTR, _FIELD, _METHOD_PTR, _METHOD, _PARAM = 0, 1, 2, 3, 4, 5, 6, 8
_MODULE_REF, _TYPE_SPEC, _ASSEMBLY_REF = 0x1A, 0x1B, 0x23
_LARGE: Final = 0x10000

_PUBLIC_TYPES: Final = frozenset((1, 2))
_PUBLIC_MEMBERS: Final = frozenset((4, 5, 6))
"""Visible to families, to families or the assembly, and to all."""
_ACCESSORS: Final = ("get_", "set_", "add_", "remove_")


@dataclass(frozen=True, slots=True)
class _Metadata:
    """Where the tables are, and how wide their columns are."""

    content: bytes
    rows: tuple[int, ...]
    at: dict[int, int]
    row_size: dict[int, int]
    wide_strings: bool
    strings: tuple[int, int]

    def string(self, index: int) -> str:
        start, size = self.strings
        if index >= size:
            raise ValueError("a name is outside its heap")
        end = self.content.find(b"\0", start + index, min(start + size, start + index + _LONGEST_NAME))
        if end < 0:
            raise ValueError("a name does not end")
        return self.content[start + index : end].decode("utf-8", "replace")


def public_names(content: bytes, name: str = "the file") -> Iterator[str]:
    """The names, as "Namespace.Type" and "Namespace.Type.Member", some repeatedly; none without metadata. Types inside
    others are named without these.

    Raises InvalidPackage, which calls the file `name`, if it is malformed.
    """
    try:
        metadata = _metadata(content)
        if metadata is not None:
            yield from _names(metadata)
    except (struct.error, ValueError, IndexError) as error:
        raise InvalidPackage(f"{shown(name)} is not a readable assembly") from error


def _metadata(content: bytes) -> _Metadata | None:
    address, size, sections = data_directory(content, _CLI_HEADER)
    if not size:
        return None
    _, _, _, root_address, root_size = _CLI.unpack_from(content, offset_of(address, _CLI.size, sections))
    root = offset_of(root_address, root_size, sections)
    streams = dict(_streams(content, root))
    if b"#~" not in streams or b"#Strings" not in streams:
        raise ValueError("a stream is missing")
    at, _ = streams[b"#~"]
    _, _, _, heaps, _, valid, _ = _TABLES.unpack_from(content, at)
    position = at + _TABLES.size
    rows = [0] * 64
    for table in range(64):
        if valid >> table & 1:
            (rows[table],) = struct.unpack_from("<L", content, position)
            position += 4
    sizes = _row_sizes(rows, wide_strings=bool(heaps & 1), wide_guids=bool(heaps & 2), wide_blobs=bool(heaps & 4))
    starts = {}
    for table in range(_METHOD + 1):
        starts[table] = position
        position += rows[table] * sizes[table]
    if position > len(content):
        raise ValueError("its tables are outside the file")
    return _Metadata(content, tuple(rows), starts, sizes, bool(heaps & 1), streams[b"#Strings"])


def _streams(content: bytes, root: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    signature, _, _, _, version_size = _ROOT.unpack_from(content, root)
    if signature != b"BSJB":
        raise ValueError("its metadata has no signature")
    position = root + _ROOT.size + version_size
    _, count = struct.unpack_from("<2H", content, position)
    position += 4
    for _ in range(min(count, _MOST_STREAMS)):
        offset, size = _STREAM.unpack_from(content, position)
        position += _STREAM.size
        end = content.index(b"\0", position, position + 32)
        if root + offset + size > len(content):
            raise ValueError("a stream is outside the file")
        yield content[position:end], (root + offset, size)
        position += (end - position) // 4 * 4 + 4


def _row_sizes(rows: list[int], *, wide_strings: bool, wide_guids: bool, wide_blobs: bool) -> dict[int, int]:
    """Of the tables up to the methods."""
    string, guid, blob = (4 if wide else 2 for wide in (wide_strings, wide_guids, wide_blobs))

    def index(table: int) -> int:
        return 4 if rows[table] >= _LARGE else 2

    def coded(*tables: int) -> int:
        return 4 if max(rows[table] for table in tables) >= _LARGE >> 2 else 2

    scope = coded(_MODULE, _MODULE_REF, _ASSEMBLY_REF, _TYPE_REF)
    base = coded(_TYPE_DEF, _TYPE_REF, _TYPE_SPEC)
    fields = index(_FIELD_PTR if rows[_FIELD_PTR] else _FIELD)
    methods = index(_METHOD_PTR if rows[_METHOD_PTR] else _METHOD)
    return {
        _MODULE: 2 + string + 3 * guid,
        _TYPE_REF: scope + 2 * string,
        _TYPE_DEF: 4 + 2 * string + base + fields + methods,
        _FIELD_PTR: index(_FIELD),
        _FIELD: 2 + string + blob,
        _METHOD_PTR: index(_METHOD),
        _METHOD: 8 + string + blob + index(_PARAM),
    }


def _names(metadata: _Metadata) -> Iterator[str]:
    if metadata.rows[_FIELD_PTR] or metadata.rows[_METHOD_PTR]:
        raise ValueError("it is an assembly of edit and continue")
    if max(metadata.rows[table] for table in (_TYPE_DEF, _FIELD, _METHOD)) > MOST_NAMES:
        raise ValueError("it has too many names")
    types = [_type_row(metadata, number) for number in range(metadata.rows[_TYPE_DEF])]
    ends = [
        *((fields, methods) for _, _, _, fields, methods in types[1:]),
        (metadata.rows[_FIELD] + 1, metadata.rows[_METHOD] + 1),
    ]
    left = 2 * MOST_NAMES
    for (flags, name, namespace, fields, methods), (fields_end, methods_end) in zip(types, ends, strict=True):
        if flags & 7 not in _PUBLIC_TYPES:
            continue
        full = f"{namespace}.{name}" if namespace else name
        yield full
        left -= max(0, fields_end - fields) + max(0, methods_end - methods)
        if left < 0:  # ranges that overlap would cost the square of the rows
            raise ValueError("its types have too many members")
        for table, first, end in ((_FIELD, fields, fields_end), (_METHOD, methods, methods_end)):
            for number in range(max(1, first) - 1, min(end - 1, metadata.rows[table])):
                member = _member_name(metadata, table, number)
                if member:
                    yield f"{full}.{member}"


def _type_row(metadata: _Metadata, number: int) -> tuple[int, str, str, int, int]:
    """Flags, name, namespace, and the first field and method."""
    size = metadata.row_size[_TYPE_DEF]
    at = metadata.at[_TYPE_DEF] + number * size
    column = "L" if metadata.wide_strings else "H"
    flags, name, namespace = struct.unpack_from(f"<L2{column}", metadata.content, at)
    last = at + size
    widths = [4 if metadata.rows[table] >= _LARGE else 2 for table in (_FIELD, _METHOD)]
    methods = int.from_bytes(metadata.content[last - widths[1] : last], "little")
    fields = int.from_bytes(metadata.content[last - sum(widths) : last - widths[1]], "little")
    return flags, metadata.string(name), metadata.string(namespace), fields, methods


def _member_name(metadata: _Metadata, table: int, number: int) -> str:
    """The name of a public member; empty for others. The accessors of a property or event have its name."""
    at = metadata.at[table] + number * metadata.row_size[table]
    flags_at, name_at = (at, at + 2) if table == _FIELD else (at + 6, at + 8)
    (flags,) = struct.unpack_from("<H", metadata.content, flags_at)
    if flags & 7 not in _PUBLIC_MEMBERS:
        return ""
    (index,) = struct.unpack_from("<L" if metadata.wide_strings else "<H", metadata.content, name_at)
    name = metadata.string(index)
    if name == "value__" and table == _FIELD:
        return ""
    for accessor in _ACCESSORS:
        if name.startswith(accessor) and table == _METHOD:
            return name.removeprefix(accessor)
    return "(constructor)" if name == ".ctor" else "" if name == ".cctor" else name
