"""The rows behind search: which version of an id each kind of client sees, and the words it is found by.

Every function is part of somebody's transaction. The rows follow from what is hosted: `RULES` says how, and rows that
were made by other rules are made anew.
"""

import sqlite3
from typing import Any, Final

import orjson

from nugetproxy.hosting.leaves import leaf_of
from nugetproxy.hosting.packages import HostedPackage, fetching, find_package
from nugetproxy.hosting.search_tokens import indexed, indexed_name, inner_parts
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.protocol.v3.search import SearchQuery, hit_from_leaves

RULES: Final = 1
"""Add one whenever the same packages would make other rows: all are made anew then."""

PRERELEASE: Final = 1
SEMVER2: Final = 2
CLASSES: Final = range(4)
"""The kinds of clients: those that ask for neither, for prereleases, for SemVer 2, for both."""

_EVERYTHING: Final = SearchQuery(prerelease=True, semver_level2=True)
# Known only when somebody asks.
_READ_LATER: Final = ("versions", "totalDownloads", "verified")
_WORDS: Final = ("name", "within", "title", "tags", "description", "summary", "authors")


def class_of(*, prerelease: bool, semver_level2: bool) -> int:
    """What kind of client asks."""
    return PRERELEASE * prerelease | SEMVER2 * semver_level2


def index_package(connection: sqlite3.Connection, package: HostedPackage) -> None:
    """The version is new, or its state is another now."""
    if not package.listed:
        forget_package(connection, package.identity)
        return
    connection.execute("INSERT OR REPLACE INTO search_versions VALUES (?, ?, ?, ?, ?)", _version_row(package))
    _show_latest(connection, package.identity.lower_id, package)


def forget_package(connection: sqlite3.Connection, package: PackageIdentity) -> None:
    """The version is gone, or not listed any more."""
    connection.execute(
        "DELETE FROM search_versions WHERE lower_id = ? AND precedence = ? AND lower_version = ?",
        (package.lower_id, package.version.precedence, package.lower_version),
    )
    _show_latest(connection, package.lower_id)


def index_again(connection: sqlite3.Connection, lower_id: str) -> None:
    """All rows of an id anew."""
    connection.execute("DELETE FROM search_versions WHERE lower_id = ?", (lower_id,))
    _show_latest(connection, lower_id)
    listed = connection.execute(
        "SELECT lower_version FROM hosted_packages WHERE lower_id = ? AND listed", (lower_id,)
    ).fetchall()
    connection.executemany(
        "INSERT INTO search_versions VALUES (?, ?, ?, ?, ?)",
        (_version_row(_package(connection, lower_id, lower_version)) for (lower_version,) in listed),
    )
    _show_latest(connection, lower_id)


def _version_row(package: HostedPackage) -> tuple[object, ...]:
    version = package.identity.version
    needs = class_of(prerelease=version.is_prerelease, semver_level2=package.manifest.is_semver2)
    return package.identity.lower_id, version.precedence, version.lower, version.full, needs


# --- documents --------------------------------------------------------------------------------------------------------


def _show_latest(connection: sqlite3.Connection, lower_id: str, changed: HostedPackage | None = None) -> None:
    """Make the documents of an id those of the versions that are now the latest. `changed` has a new state."""
    wanted = _latest(connection, lower_id)
    there = {
        lower_version: (document, shown_to)
        for lower_version, document, shown_to in connection.execute(
            "SELECT lower_version, document, shown_to FROM search_documents WHERE lower_id = ?", (lower_id,)
        )
    }
    # A new latest version takes over the document of the one before it, whose words are mostly its own.
    free = [document for lower_version, (document, _) in there.items() if lower_version not in wanted]
    for lower_version, shown_to in wanted.items():
        document, shown_before = there.get(lower_version, (None, 0))
        package = changed if changed is not None and changed.identity.lower_version == lower_version else None
        if document is None:
            package = package or _package(connection, lower_id, lower_version)
            document = free.pop() if free else _new_document(connection, package)
        if package is not None:
            _write(connection, document, package, shown_to)
        elif shown_to != shown_before:
            connection.execute("UPDATE search_documents SET shown_to = ? WHERE document = ?", (shown_to, document))
    for document in free:
        for statement in _REMOVALS:
            connection.execute(statement, (document,))


def _latest(connection: sqlite3.Connection, lower_id: str) -> dict[str, int]:
    """The latest versions, each with the kinds of clients that it is the latest to."""
    shown: dict[str, int] = {}
    open_classes = set(CLASSES)
    for lower_version, needs in connection.execute(
        "SELECT lower_version, needs FROM search_versions WHERE lower_id = ? ORDER BY precedence DESC", (lower_id,)
    ):
        closed = {asked for asked in open_classes if needs & ~asked == 0}
        if closed:
            shown[lower_version] = sum(1 << asked for asked in closed)
            open_classes -= closed
        if not open_classes:
            break
    return shown


def _package(connection: sqlite3.Connection, lower_id: str, lower_version: str) -> HostedPackage:
    found = find_package(fetching(connection), PackageIdentity.parse(lower_id, lower_version))
    assert found is not None, f"{lower_id} {lower_version} is listed and not hosted"
    return found


def _new_document(connection: sqlite3.Connection, package: HostedPackage) -> int:
    names = (package.identity.lower_id, package.identity.lower_version)
    document = connection.execute(
        "INSERT INTO search_documents (lower_id, lower_version, shown_to, types, downloads)"
        " SELECT ?1, ?2, 0, '', coalesce(sum(downloads), 0) FROM hosted_downloads WHERE lower_id = ?1",
        names,
    ).lastrowid
    assert document is not None
    return document


def _write(connection: sqlite3.Connection, document: int, package: HostedPackage, shown_to: int) -> None:
    hit = _hit(package)
    types = "\n".join(["", *(lower_invariant(kind["name"]) for kind in hit["packageTypes"]), ""])
    connection.execute(
        "UPDATE search_documents SET lower_version = ?, shown_to = ?, types = ? WHERE document = ?",
        (package.identity.lower_version, shown_to, types, document),
    )
    connection.execute("INSERT OR REPLACE INTO search_hits VALUES (?, ?)", (document, orjson.dumps(hit).decode()))
    words = (
        indexed_name(hit["id"]),
        inner_parts(hit["id"]),
        indexed(package.manifest.title),
        *(indexed(text) for text in (" ".join(hit["tags"]), hit["description"], hit.get("summary", ""))),
        indexed(" ".join(hit["authors"])),
    )
    before = connection.execute(f"SELECT {', '.join(_WORDS)} FROM search_words WHERE rowid = ?", (document,)).fetchone()  # noqa: S608  all constant
    if before == words:
        return
    for statement in _REMOVALS_OF_WORDS:
        connection.execute(statement, (document,))
    connection.execute(
        f"INSERT INTO search_words (rowid, {', '.join(_WORDS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  all constant
        (document, *words),
    )
    connection.execute("INSERT INTO search_names (rowid, name) VALUES (?, ?)", (document, indexed(hit["id"])))


def _hit(package: HostedPackage) -> dict[str, Any]:
    """What is shown of a version, to clients that understand everything."""
    found = hit_from_leaves([leaf_of(package)], _EVERYTHING)
    assert found is not None, "a listed version is shown to who asks for everything"
    return {name: value for name, value in found.raw.items() if name not in _READ_LATER}


_REMOVALS_OF_WORDS: Final = (
    "DELETE FROM search_words WHERE rowid = ?",
    "DELETE FROM search_names WHERE rowid = ?",
)
_REMOVALS: Final = (
    *_REMOVALS_OF_WORDS,
    "DELETE FROM search_hits WHERE document = ?",
    "DELETE FROM search_documents WHERE document = ?",
)
