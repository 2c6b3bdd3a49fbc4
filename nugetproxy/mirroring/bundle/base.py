"""What the receiver of a bundle has already: a former bundle, its manifest, or the receiver's inventory.

Read in the order of paths, beside the entries of a new bundle, so that neither is held in memory. What it says need not
be trusted: a bundle lists what it leaves out, and the receiver compares that with what it has.
"""

import hashlib
import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from types import TracebackType

import orjson

from nugetproxy.errors import InvalidBundle, InvalidRequest, StorageUnavailable
from nugetproxy.mirroring.bundle.hashing import in_base64
from nugetproxy.mirroring.bundle.head import Since, is_bundle_id
from nugetproxy.mirroring.bundle.held import (
    INVENTORY_FORMAT,
    INVENTORY_FORMAT_WITH_SYMBOLS,
    Held,
    in_order,
    read_lines,
)
from nugetproxy.mirroring.bundle.manifest import LONGEST_LINE, Entry, Kind
from nugetproxy.mirroring.bundle.reading import BundleReader, open_bundle
from nugetproxy.mirroring.bundle.volumes import VolumeStream


class Base:
    """What `--since` names. `since` identifies it. To be closed."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidRequest or InvalidBundle for another kind of file, StorageUnavailable."""
        self._path = path
        self._stack = ExitStack()
        try:
            self.since, self._entries = self._opened()
        except BaseException:  # whatever it was, nothing stays open
            self._stack.close()
            raise

    def held(self) -> Iterator[Held]:
        """Its files, by path. Once only. Raises InvalidBundle for a line that cannot be read, or is out of order."""
        try:
            for entry in in_order(self._entries):
                yield Held.of(entry)
        except ValueError as error:
            raise InvalidBundle(str(self._path), f"a line cannot be read: {error}") from None

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> "Base":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> tuple[Since, Iterator[Entry]]:
        with VolumeStream(self._path) as stream:
            try:
                is_text = stream.read(1) == b"{"
            except OSError as error:
                raise StorageUnavailable(f"{self._path} cannot be read: {error.strerror}") from error
        if is_text:
            return self._of_lines(self._stack.enter_context(self._path.open("rb")))
        whole = self._stack.enter_context(VolumeStream(self._path))
        reader = self._stack.enter_context(open_bundle(whole.read, str(self._path), None))
        return Since("bundle", reader.head.bundle), _entries_of(reader)

    def _of_lines(self, file: BufferedReader) -> tuple[Since, Iterator[Entry]]:
        first = file.readline(LONGEST_LINE)
        try:
            fields = orjson.loads(first)
        except ValueError:
            fields = None
        if isinstance(fields, dict) and "inventory" in fields:
            known = (INVENTORY_FORMAT, INVENTORY_FORMAT_WITH_SYMBOLS)
            if fields.get("format") not in known or not is_bundle_id(fields["inventory"]):
                raise InvalidRequest(f"{self._path} is an inventory that this nugetproxy cannot read")
            return Since("inventory", fields["inventory"]), read_lines(file)
        if isinstance(fields, dict) and "path" in fields:
            file.seek(0)
            digest = in_base64(hashlib.file_digest(file, "sha512").digest())
            file.seek(0)
            return Since("manifest", digest), read_lines(file)
        raise InvalidRequest(
            f"{self._path} is no bundle, no manifest.jsonl of one, and no inventory of `nugetproxy bundle inventory`"
        )


def _entries_of(reader: BundleReader) -> Iterator[Entry]:
    """Of what the bundle holds, and of what its receiver had before."""
    own = (entry for entry in reader.manifest() if entry.kind is not Kind.ASSUMED)
    return heapq.merge(own, read_lines(_assumed(reader)), key=lambda entry: entry.path.encode())


def _assumed(reader: BundleReader) -> Iterator[bytes]:
    first = next(reader.files(), None)
    if first is not None and first.entry.kind is Kind.ASSUMED:
        yield from first.chunks()
