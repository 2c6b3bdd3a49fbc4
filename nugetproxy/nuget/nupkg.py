"""Read a .nupkg safely: its manifest, and the parts that the manifest refers to.

It works on an open binary file; opening it and choosing the thread is up to the caller. Nothing is extracted under its
name: an entry called `../x` is as harmless as any other.
"""

from typing import BinaryIO, Final, Literal
from urllib.parse import unquote

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.archive import ArchiveLimits, Entry, read_end_record, read_entries, shown
from nugetproxy.nuget.archive_contents import check_entry, read_entry, read_start
from nugetproxy.nuget.archive_layout import check_layout
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.nuget.lazy import lazy
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.nuget.nuspec import LARGEST_NUSPEC, read_identity, read_nuspec

__all__ = ["ArchiveLimits", "Nupkg"]

# Tools write id and version first. If they come later, more of the nuspec is read.
_IDENTITY_IS_WITHIN: Final = 64 * 1024


class Nupkg:
    """A package file. Every method may raise InvalidPackage, which says what is wrong with the file.

    Reads the directory (a millisecond for a thousand entries); contents are read on demand. Moves the file's position.
    The caller closes the file.
    """

    def __init__(self, file: BinaryIO, limits: ArchiveLimits = ArchiveLimits()) -> None:  # noqa: B008 - frozen
        self._file = file
        self._limits = limits
        self._end = read_end_record(file)
        self._entries = read_entries(file, self._end, limits)
        self._nuspec_entry = self._only_nuspec()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The records of the archive's directory, in its order, not checked against the contents."""
        return self._entries

    @property
    def has_large_nuspec(self) -> bool:
        """Whether the nuspec is too large to hold in memory: `nuspec` fails, `manifest` reads only its beginning."""
        return self._nuspec_entry.size > self._limits.max_nuspec_size

    @lazy
    def nuspec(self) -> bytes:
        """The bytes of the nuspec as in the package."""
        return read_entry(self._file, self._nuspec_entry, self._limits.max_nuspec_size)

    @lazy
    def identity(self) -> PackageIdentity:
        """Id and version, read from the beginning of the nuspec before anything else in it is parsed."""
        try:
            return self._identity_within(_IDENTITY_IS_WITHIN)
        except InvalidPackage:
            if self._nuspec_entry.size <= _IDENTITY_IS_WITHIN:
                raise
            return self._identity_within(LARGEST_NUSPEC)

    @lazy
    def manifest(self) -> PackageManifest:
        if self.has_large_nuspec:
            return read_nuspec(read_start(self._file, self._nuspec_entry, LARGEST_NUSPEC), is_cut=True)
        return read_nuspec(self.nuspec)

    def find(self, name: str) -> str | None:
        """The name of the entry for a path in a manifest: any case, either slash, plain or percent-encoded."""
        entry = self._found(name)
        return entry.name if entry else None

    def read(self, name: str, limit: int) -> bytes:
        """The unpacked bytes of the entry that `find` finds.

        Raises:
            InvalidPackage: no such entry, unreadable, or larger than `limit` bytes.
        """
        entry = self._found(name)
        if entry is None:
            raise InvalidPackage(f"it has no entry {shown(name)}")
        return read_entry(self._file, entry, limit)

    def check_layout(self) -> None:
        """Check a pushed archive: every byte is accounted for, and all readers find the same files."""
        check_layout(self._file, self._end, self._entries)

    def check_contents(self) -> None:
        """Unpack every entry once, in constant memory, and check it against the directory.

        The declared sizes are not limited here; the caller checks them first.
        """
        for entry in self._entries:
            check_entry(self._file, entry)

    def part(self, which: Literal["readme", "icon", "license"]) -> tuple[str, bytes] | None:
        """Entry name and bytes of a part; None if the manifest names none or the package lacks it."""
        manifest = self.manifest
        path = {"readme": manifest.readme, "icon": manifest.icon, "license": manifest.license_file}[which]
        entry = self._found(path) if path else None
        return (entry.name, read_entry(self._file, entry, self._limits.max_part_size)) if entry else None

    def _identity_within(self, size: int) -> PackageIdentity:
        """From the first `size` bytes of the nuspec."""
        start = read_start(self._file, self._nuspec_entry, size)
        return read_identity(start, is_cut=self._nuspec_entry.size > len(start))

    def _only_nuspec(self) -> Entry:
        # By the decoded name, as clients search for it, so that we see the same identity as they do.
        names = ((entry, unquote(entry.name)) for entry in self._entries)
        found = [e for e, name in names if name.lower().endswith(".nuspec") and not {"/", "\\"} & set(name)]
        if len(found) != 1:
            raise InvalidPackage(f"it has {len(found)} nuspec files in its root; exactly one is required")
        return found[0]

    def _found(self, name: str) -> Entry | None:
        return self._by_plain_name.get(_plain(name))

    @lazy
    def _by_plain_name(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for entry in self._entries:
            found.setdefault(_plain(entry.name), entry)
        return found


def _plain(name: str) -> str:
    return unquote(name).replace("\\", "/").removeprefix("./").lstrip("/").lower()
