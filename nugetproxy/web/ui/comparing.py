"""What differs between two versions of a package. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.web.ui.package_files import PackedFile
from nugetproxy.web.ui.package_view import groups_of

MOST_ROWS: Final = 500
"""Differences of one kind that are shown."""

MOST_ASSEMBLIES: Final = 6
"""Assemblies of which public names are compared: each takes up to some hundred milliseconds."""

_MOST_COMPARED: Final = 5_000
_ASSEMBLIES: Final = ("lib/", "ref/")
# Differ with every build, and say nothing.
_NOISE: Final = ("_rels/", "package/services/metadata/core-properties/", "[Content_Types].xml", ".signature.p7s")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was added (`before` is empty), removed (`after` is empty) or changed."""

    name: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        return "added" if not self.before else "removed" if not self.after else "changed"


@dataclass(frozen=True, slots=True)
class FileDifference:
    """Sizes in bytes, None where the file does not exist."""

    path: str
    before: int | None
    after: int | None

    @property
    def kind(self) -> str:
        return "added" if self.before is None else "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class FileDifferences:
    """`more` are those that are not in `rows`; `same` counts the files that did not change."""

    rows: tuple[FileDifference, ...]
    more: int
    same: int


@dataclass(frozen=True, slots=True)
class NameDifferences:
    """Public names that were added to and removed from an assembly."""

    path: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def compared_dependencies(before: Leaf, after: Leaf) -> tuple[tuple[str, tuple[Difference, ...]], ...]:
    """By framework, those frameworks whose dependencies differ."""
    old, new = _dependencies(before), _dependencies(after)
    found = []
    for framework in sorted(old.keys() | new.keys()):
        had, has = old.get(framework, {}), new.get(framework, {})
        rows = [
            Difference(name, had.get(name, ""), has.get(name, ""))
            for name in sorted(had.keys() | has.keys(), key=str.lower)
            if had.get(name) != has.get(name)
        ]
        if rows or framework not in old or framework not in new:
            found.append((framework, tuple(rows[:MOST_ROWS])))
    return tuple(found)


def compared_files(before: Sequence[PackedFile], after: Sequence[PackedFile]) -> FileDifferences:
    """Without what every build changes."""
    old, new = _by_path(before), _by_path(after)
    rows, same = [], 0
    for path in sorted(old.keys() | new.keys()):
        had, has = old.get(path), new.get(path)
        if had is not None and has is not None and (had.size, had.crc) == (has.size, has.crc):
            same += 1
            continue
        rows.append(FileDifference(path, had.size if had else None, has.size if has else None))
    return FileDifferences(tuple(rows[:MOST_ROWS]), max(0, len(rows) - MOST_ROWS), same)


def changed_assemblies(files: FileDifferences) -> tuple[str, ...]:
    """The paths of those whose public names are worth comparing."""
    return tuple(
        row.path
        for row in files.rows
        if row.kind == "changed" and row.path.startswith(_ASSEMBLIES) and row.path.lower().endswith(".dll")
    )[:MOST_ASSEMBLIES]


def compared_names(
    before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]
) -> tuple[NameDifferences, ...]:
    """By path, of assemblies that both could be read."""
    return tuple(
        NameDifferences(
            path,
            tuple(sorted(after[path] - before[path])[:MOST_ROWS]),
            tuple(sorted(before[path] - after[path])[:MOST_ROWS]),
        )
        for path in sorted(before.keys() & after.keys())
    )


def _dependencies(leaf: Leaf) -> dict[str, dict[str, str]]:
    return {
        group.framework: {each.text: each.range or "any version" for each in group.dependencies}
        for group in groups_of(leaf, _MOST_COMPARED)
    }


def _by_path(files: Sequence[PackedFile]) -> dict[str, PackedFile]:
    return {each.path: each for each in files if not each.path.startswith(_NOISE)}
