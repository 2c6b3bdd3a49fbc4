"""The rows behind search: which version of an id each kind of client sees, and the words that find it.

Every function is part of a caller's transaction. The rows are derived from the hosted packages: `RULES` is the version
of the derivation, and rows derived by other rules are rebuilt.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from nugetproxy.hosting.full_text.base import Texts
from nugetproxy.hosting.full_text.choice import full_text
from nugetproxy.hosting.leaves import leaf_of
from nugetproxy.hosting.packages import HostedPackage, find_package, package_of_row, rows_of_documents
from nugetproxy.hosting.search_marks import CLASSES, class_of, id_mark, type_mark, version_mark
from nugetproxy.hosting.search_tokens import indexed, indexed_name, inner_parts
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.protocol.v3.search import SearchQuery, hit_from_leaves
from nugetproxy.storage.database.base import Query, Rows, Transaction

RULES: Final = 2
"""Increment whenever the same packages would produce other rows: all are then rebuilt."""

_EVERYTHING: Final = SearchQuery(prerelease=True, semver_level2=True)
# Known only at query time.
_READ_LATER: Final = ("versions", "totalDownloads", "verified")
# Documents with similar downloads have a range of this many numbers; there are never more.
_NUMBERS: Final = 1 << 40
_FIRST_STEP: Final = 255

# The newest version of an id that needs this of a client, for all that may be needed: the others are nobody's latest.
_NEWEST: Final = " UNION ALL ".join(
    "SELECT * FROM (SELECT lower_version, needs, precedence FROM search_versions"  # noqa: S608  a number
    f" WHERE lower_id = ?1 AND needs = {needs} ORDER BY precedence DESC LIMIT 1) AS newest_{needs}"
    for needs in CLASSES
)
_DOCUMENTS: Final = "SELECT lower_version, document, shown_to FROM search_documents WHERE lower_id = ?"


def queries_of(lower_id: str) -> tuple[Query, ...]:
    """What `index_package` asks about an id before it changes anything."""
    return (_NEWEST, (lower_id,)), (_DOCUMENTS, (lower_id,))


def index_package(transaction: Transaction, package: HostedPackage) -> None:
    """The version is new, or its state has changed."""
    if not package.listed:
        forget_package(transaction, package.identity)
        return
    lower_id, precedence, lower_version, _, needs = row = _version_row(package)
    newest = {version: (rank, kind) for version, kind, rank in transaction.fetch(_NEWEST, (lower_id,))}
    newest[lower_version] = (precedence, needs)
    latest = _latest(newest)
    there = transaction.fetch(_DOCUMENTS, (lower_id,))
    transaction.change_later(
        "INSERT INTO search_versions VALUES (?, ?, ?, ?, ?) ON CONFLICT (lower_id, precedence, lower_version)"
        " DO UPDATE SET version = excluded.version, needs = excluded.needs",
        row,
    )
    _show(transaction, lower_id, latest, there, package)


def forget_package(transaction: Transaction, package: PackageIdentity) -> None:
    """The version is gone, or no longer listed."""
    transaction.change(
        "DELETE FROM search_versions WHERE lower_id = ? AND precedence = ? AND lower_version = ?",
        (package.lower_id, package.version.precedence, package.lower_version),
    )
    _show_latest(transaction, package.lower_id)


def index_again(transaction: Transaction, lower_id: str) -> None:
    """Rebuild all rows of an id."""
    transaction.change("DELETE FROM search_versions WHERE lower_id = ?", (lower_id,))
    _show_latest(transaction, lower_id)
    listed = transaction.fetch(
        "SELECT lower_version FROM hosted_packages WHERE lower_id = ? AND listed = 1", (lower_id,)
    )
    transaction.change_many(
        "INSERT INTO search_versions VALUES (?, ?, ?, ?, ?)",
        (_version_row(_package(transaction, lower_id, lower_version)) for (lower_version,) in listed),
    )
    _show_latest(transaction, lower_id)


def write_words(transaction: Transaction, *, after: int, most: int) -> list[int]:
    """Put the words of the documents with the next numbers into the full-text index, which lacks them; returns these
    numbers. For a copy of the other tables.
    """
    rows = transaction.fetch(
        "SELECT document, lower_id, lower_version, shown_to FROM search_documents WHERE document > ?"
        " ORDER BY document LIMIT ?",
        (after, most),
    )
    numbers = [row[0] for row in rows]
    found = map(package_of_row, rows_of_documents(transaction.fetch, after, numbers[-1])) if rows else ()
    packages = {(package.identity.lower_id, package.identity.lower_version): package for package in found}
    for document, lower_id, lower_version, shown_to in rows:
        package = packages[lower_id, lower_version]
        full_text(transaction.dialect).put(transaction, document, _texts(package, _hit(package)), shown_to)
    return numbers


def _version_row(package: HostedPackage) -> tuple[str, bytes, str, str, int]:
    version = package.identity.version
    needs = class_of(prerelease=version.is_prerelease, semver_level2=package.manifest.is_semver2)
    return package.identity.lower_id, version.precedence, version.lower, version.full, needs


# --- documents --------------------------------------------------------------------------------------------------------


def _show_latest(transaction: Transaction, lower_id: str) -> None:
    """Turn the documents of an id into those of its current latest versions."""
    newest = {version: (rank, kind) for version, kind, rank in transaction.fetch(_NEWEST, (lower_id,))}
    _show(transaction, lower_id, _latest(newest), transaction.fetch(_DOCUMENTS, (lower_id,)))


def _show(
    transaction: Transaction, lower_id: str, wanted: dict[str, int], rows: Rows, changed: HostedPackage | None = None
) -> None:
    """Turn the documents of an id, `rows`, into those of the `wanted` versions. `changed` has a new state."""
    there = {lower_version: (document, shown_to) for lower_version, document, shown_to in rows}
    # A new latest version takes over the document of the previous one, which has mostly the same words.
    free = [document for lower_version, (document, _) in there.items() if lower_version not in wanted]
    for lower_version, shown_to in wanted.items():
        document, shown_before = there.get(lower_version, (None, 0))
        package = changed if changed is not None and changed.identity.lower_version == lower_version else None
        if document is None:
            package = package or _package(transaction, lower_id, lower_version)
            document = free.pop() if free else _new_document(transaction, package)
        if package is not None:
            _write(transaction, document, package, shown_to)
        elif shown_to != shown_before:
            _show_to(transaction, document, shown_to)
    for document in free:
        full_text(transaction.dialect).remove(transaction, document)
        transaction.change("DELETE FROM search_hits WHERE document = ?", (document,))
        transaction.change("DELETE FROM search_documents WHERE document = ?", (document,))


def _latest(newest: Mapping[str, tuple[bytes, int]]) -> dict[str, int]:
    """The latest versions, each with the kinds of clients that see it as the latest. `newest` has the newest version of
    each kind at least, with its rank and kind.
    """
    shown: dict[str, int] = {}
    open_classes = set(CLASSES)
    for lower_version, (_, needs) in sorted(newest.items(), key=lambda each: each[1], reverse=True):
        closed = {asked for asked in open_classes if needs & ~asked == 0}
        if closed:
            shown[lower_version] = sum(1 << asked for asked in closed)
            open_classes -= closed
    return shown


def _package(transaction: Transaction, lower_id: str, lower_version: str) -> HostedPackage:
    found = find_package(transaction.fetch, PackageIdentity.parse(lower_id, lower_version))
    assert found is not None, f"{lower_id} {lower_version} is listed but not hosted"
    return found


def _new_document(transaction: Transaction, package: HostedPackage) -> int:
    identity = package.identity
    rows = transaction.fetch("SELECT downloads FROM hosted_downloads WHERE lower_id = ?", (identity.lower_id,))
    downloads = sum(row[0] for row in rows)
    document = _free_number(transaction, downloads)
    transaction.change(
        "INSERT INTO search_documents VALUES (?, ?, ?, 0, ?)",
        (document, identity.lower_id, identity.lower_version, downloads),
    )
    return document


def _write(transaction: Transaction, document: int, package: HostedPackage, shown_to: int) -> None:
    identity = package.identity
    transaction.change_later(
        "UPDATE search_documents SET lower_version = ?, shown_to = ? WHERE document = ?",
        (identity.lower_version, shown_to, document),
    )
    hit = _hit(package)
    transaction.change_later(
        "INSERT INTO search_hits VALUES (?, ?) ON CONFLICT (document) DO UPDATE SET hit = excluded.hit",
        (document, orjson.dumps(hit).decode()),
    )
    full_text(transaction.dialect).put(transaction, document, _texts(package, hit), shown_to)


def _texts(package: HostedPackage, hit: dict[str, Any]) -> Texts:
    identity = package.identity
    named = id_mark(identity.lower_id)
    types = " ".join(type_mark(lower_invariant(kind["name"])) for kind in hit["packageTypes"])
    title, tags = indexed(package.manifest.title), indexed(" ".join(hit["tags"]))
    words = (
        indexed_name(hit["id"]),
        inner_parts(hit["id"]),
        title,
        tags,
        *(indexed(text) for text in (hit.get("description", ""), hit.get("summary", ""), " ".join(hit["authors"]))),
        f"{named} {version_mark(identity.lower_version)} {types}",
    )
    return Texts(identity.lower_id, words, names=(indexed(hit["id"]), title, tags, f"{named} {types}"))


def _show_to(transaction: Transaction, document: int, shown_to: int) -> None:
    """Keep the document unchanged, but show it to these classes of clients."""
    transaction.change_later("UPDATE search_documents SET shown_to = ? WHERE document = ?", (shown_to, document))
    full_text(transaction.dialect).show_to(transaction, document, shown_to)


def _hit(package: HostedPackage) -> dict[str, Any]:
    """What is shown of a version, to clients that understand everything."""
    found = hit_from_leaves([leaf_of(package)], _EVERYTHING)
    assert found is not None, "a listed version is visible to clients that ask for everything"
    return {name: value for name, value in found.raw.items() if name not in _READ_LATER}


# --- numbers ----------------------------------------------------------------------------------------------------------


def put_in_order(transaction: Transaction, lower_ids: Iterable[str]) -> None:
    """Renumber the documents of these ids whose downloads have moved up or down by a step."""
    for lower_id in lower_ids:
        rows = transaction.fetch("SELECT document, downloads FROM search_documents WHERE lower_id = ?", (lower_id,))
        for document, downloads in rows:
            if document // _NUMBERS != step(downloads):
                number = _free_number(transaction, downloads)
                transaction.change("UPDATE search_documents SET document = ? WHERE document = ?", (number, document))
                transaction.change("UPDATE search_hits SET document = ? WHERE document = ?", (number, document))
                full_text(transaction.dialect).renumber(transaction, document, number)


def step(downloads: int) -> int:
    """A step is a quarter more downloads or fewer, so an id that is downloaded constantly rarely takes one. The most
    downloaded have 0.
    """
    doublings = (downloads + 1).bit_length() - 1
    quarters = ((downloads + 1 << 2) >> doublings) & 3
    return max(_FIRST_STEP - 4 * doublings - quarters, 0)


def _free_number(transaction: Transaction, downloads: int) -> int:
    first = step(downloads) * _NUMBERS
    [(last,)] = transaction.fetch(
        "SELECT max(document) FROM search_documents WHERE document >= ? AND document < ?", (first, first + _NUMBERS)
    )
    return first if last is None else int(last) + 1
