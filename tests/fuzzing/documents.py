"""Documents of upstreams: valid ones with some odd values, read, rendered as ours, and read again."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from lxml import etree

from nugetproxy.errors import DocumentTooLarge, EmptyDocument, UnreadableDocument
from nugetproxy.nuget.identity import PackageId, PackageIdentity
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.catalog_reader import read_catalog_index, read_catalog_page, read_stated_file
from nugetproxy.protocol.v3.flat_container import read_versions, write_versions
from nugetproxy.protocol.v3.registration import (
    Hive,
    Leaf,
    Registration,
    catalog_entry_url,
    read_catalog_entry,
    read_index,
    read_page,
    registration_of,
    write_leaf,
)
from nugetproxy.protocol.v3.search import (
    CompletionQuery,
    SearchPage,
    SearchQuery,
    hit_from_leaves,
    read_completion,
    read_search,
)
from nugetproxy.protocol.v3.search_writer import write_completion
from nugetproxy.protocol.v3.service_index import check_service_index, read_service_index
from nugetproxy.protocol.v3.signatures import (
    merge_repository_signatures,
    read_repository_signatures,
    write_repository_signatures,
)
from nugetproxy.protocol.v3.version_fitting import LONGEST_VERSION
from nugetproxy.protocol.v3.vulnerabilities import (
    LONGEST_NAME,
    MOST_PAGES,
    VulnerabilityPage,
    VulnerabilityPages,
    merge_vulnerabilities,
    read_vulnerability_index,
    read_vulnerability_page,
    write_vulnerability_index,
    write_vulnerability_page,
)
from tests.fuzzing.choices import Choices
from tests.fuzzing.json_documents import document_bytes
from tests.fuzzing.target import Target
from tests.protocol.v3.leaves import depending_on, index, leaf, page
from tests.protocol.writing import (
    rows_of_leaves,
    write_catalog_entry,
    write_feed,
    write_index,
    write_page,
    write_search,
)

BASE: Final = "https://packages.example.com/nuget"
LINKS: Final = Links(BASE)
QUERY: Final = SearchQuery(prerelease=True, semver_level2=True)
IDS: Final = tuple(map(PackageId.parse, ("Contoso.Utils", "Made.Paged", "Made.SemVer2", "System.Text.Json")))
VULNERABLE: Final = PackageIdentity.parse("Made.Vulnerable", "1.0.0")
_KEPT: Final = Path(__file__).parents[1] / "data" / "nuget_org"
_OUR_FIELDS: Final = ("@id", "registration", "packageContent")


@cache
def _kept(name: str) -> Any:
    return json.loads((_KEPT / f"{name}.json").read_bytes())


@cache
def _registrations() -> tuple[Any, ...]:
    rich = {
        **depending_on("[1.0.0, 2.0.0)"),
        "published": "2024-01-02T03:04:05.1234567+00:00",
        "listed": True,
        "tags": ["a", "b"],
        "authors": "A",
        "iconUrl": "https://up.example/flat/contoso.utils/1.0.0/icon",
        "deprecation": {"reasons": ["Legacy"], "alternatePackage": {"id": "Other", "range": "*"}},
        "vulnerabilities": [{"advisoryUrl": "https://x.example", "severity": "3"}],
    }
    versions = [leaf(version, **rich) for version in ("1.0.0", "1.0.1-rc.1", "2.0.0+meta", "10.0.0.1")]
    return (
        json.loads(index(page(versions))),
        json.loads(index(page(versions[:2]), page(versions[2:]))),
        json.loads(index(page(versions, loaded=False))),
        *(_kept(f"registration-index-{name}") for name in ("system.text.json", "made.semver2", "made.paged")),
    )


def make_index(choices: Choices) -> bytes:
    return document_bytes(choices, _registrations()[: choices.one_of((4, 4, 4, 6))])


def use_index(body: bytes) -> None:
    registration = None
    for package_id in IDS:
        try:
            registration = read_index(body, package_id)
        except UnreadableDocument:
            if package_id == IDS[-1]:
                raise
            continue
        break
    assert registration is not None
    if registration.vague:
        return
    if registration.outlying:
        _check_outlying(registration)
        return
    check_registration(registration, package_id)


def make_page(choices: Choices) -> bytes:
    return document_bytes(choices, (*_registrations()[0]["items"], _kept("registration-page-made.paged")))


def use_page(body: bytes) -> None:
    package_id = IDS[1] if b"Made.Paged" in body else IDS[0]
    leaves = read_page(body, package_id).leaves
    assert leaves is not None
    check_registration(registration_of(package_id.text, leaves), package_id)


def check_registration(registration: Registration, package_id: PackageId) -> None:
    """
    Whatever an upstream sent: our document is bounded, has the same meaning for readers, and links only to ourselves.
    """
    assert {PackageId.parse(each.package_id) for each in registration.leaves} <= {package_id}
    for hive in Hive:
        shown = [each for each in registration.leaves if each.fits and (hive.has_semver2 or not each.is_semver2)]
        written = write_index(registration, hive, LINKS)
        if written is None:
            assert not shown
            continue
        again = read_index(_checked(written), package_id)
        if again.outlying:
            pages = [write_page(registration, hive, each.lower, each.upper, LINKS) for each in again.pages]
            leaves = [found for each in pages for found in read_page(_checked(each or b""), package_id).leaves or ()]
            assert sum(each.count for each in again.pages) == len(leaves)
        else:
            leaves = list(again.leaves)
        _check_same_leaves(leaves, shown, hive)
    for found in registration.leaves:
        for hive in Hive:
            _check_addresses(orjson.loads(write_leaf(found, hive, LINKS) or b"{}"))
        catalog_entry_url(found)
        _check_addresses(orjson.loads(write_catalog_entry(found, None, LINKS)))
    _check_search(registration)
    _check_v2(registration)


def _check_outlying(registration: Registration) -> None:
    written = write_index(registration, Hive.GZ_SEMVER2, LINKS)
    if written is None:
        return
    again = read_index(_checked(written), PackageId.parse(registration.package_id))
    # Two pages with the same bounds become one of ours, with the versions between them.
    bounds = dict.fromkeys((each.lower, each.upper) for each in registration.pages if each.leaves != ())
    assert [(each.lower, each.upper) for each in again.pages] == list(bounds)


def _check_same_leaves(leaves: list[Leaf], shown: list[Leaf], hive: Hive) -> None:
    first: dict[Any, Leaf] = {}
    for each in sorted(shown, key=lambda each: each.version):
        first.setdefault(each.version, each)
    assert [each.version for each in leaves] == list(first)
    for ours, theirs in zip(leaves, first.values(), strict=True):
        assert (ours.package_id, ours.listed) == (theirs.package_id, theirs.listed)
        assert _dependencies(ours) == _dependencies(theirs)
        assert len(orjson.dumps(ours.raw)) <= LARGEST_VERSION
        if hive.has_semver2:
            assert ours.is_semver2 == theirs.is_semver2
        else:
            assert not {"deprecation", "vulnerabilities"} & ours.entry.keys()


def _dependencies(leaf: Leaf) -> list[list[object]]:
    groups = leaf.entry.get("dependencyGroups")
    return [
        [each.get("id") for each in group.get("dependencies") or () if isinstance(each, dict)]
        for group in (groups if isinstance(groups, list) else ())
        if isinstance(group, dict) and isinstance(group.get("dependencies"), list)
    ]


def _check_search(registration: Registration) -> None:
    hit = hit_from_leaves(registration.leaves, QUERY)
    if hit is None or len(hit.raw["version"]) > LONGEST_VERSION:
        return
    written = _checked(write_search(SearchPage(1, (hit,)), QUERY, LINKS))
    (again,) = read_search(written).hits
    assert again.id == hit.id


def _check_v2(registration: Registration) -> None:
    rows = rows_of_leaves(registration.leaves, LINKS, level2=True)
    written = write_feed("Packages", rows, LINKS, count=len(rows))
    entries = etree.fromstring(written).findall("{*}entry")
    assert len(entries) <= len(rows)
    for entry in entries:
        assert len(etree.tostring(entry, encoding="utf-8")) <= 2 * LARGEST_VERSION


def _checked(written: bytes) -> bytes:
    assert len(written) <= LARGEST_DOCUMENT
    _check_addresses(orjson.loads(written))
    return written


def _check_addresses(document: Any) -> None:
    for name, value in _fields(document):
        if name in _OUR_FIELDS and isinstance(value, str):
            assert not value or value.startswith((BASE + "/", "#")), (name, value)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            for name, inner in holder.items():
                if name != "@context":
                    yield name, inner
                    waiting.append(inner)
        elif isinstance(holder, list):
            waiting += holder


def make_search(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("search"),))


def use_search(body: bytes) -> None:
    found = read_search(body)
    written = _checked(write_search(found, QUERY, LINKS))
    again = read_search(written)
    assert (again.total, [each.id for each in again.hits]) == (found.total, [each.id for each in found.hits])
    for hit in again.hits:
        assert hit.raw["versions"], "clients throw on a hit without versions"
        assert len(orjson.dumps({**hit.raw, "versions": []})) <= LARGEST_VERSION


def make_completion(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("autocomplete"),))


def use_completion(body: bytes) -> None:
    for of_versions in (False, True):
        found = read_completion(body, of_versions=of_versions)
        written = _checked(write_completion(found, CompletionQuery(), LINKS))
        assert read_completion(written, of_versions=of_versions).values == found.values


def make_versions(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("versions-dapper"), {"versions": ["1.0.0", "1.0.0.0", "2.0-RC", "3+x"]}))


def use_versions(body: bytes) -> None:
    versions = read_versions(body)
    assert list(versions) == sorted(set(versions))
    assert read_versions(write_versions(versions)) == versions


def make_catalog_entry(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("catalog-entry-made.vulnerable"),))


def use_catalog_entry(body: bytes) -> None:
    document = read_catalog_entry(body, VULNERABLE)
    (a_leaf,) = read_index(index(page([leaf("1.0.0")])), IDS[0]).leaves
    written = orjson.loads(_checked(write_catalog_entry(a_leaf, document, LINKS)))
    files = written.pop("packageEntries", None)
    assert files is None or isinstance(files, list)
    assert len(orjson.dumps(written)) <= LARGEST_VERSION
    assert str(written["id"]).lower() == VULNERABLE.lower_id


def make_catalog_index(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("catalog-index"),))


def use_catalog_index(body: bytes) -> None:
    pages = read_catalog_index(body)
    assert [page.commit.stamp for page in pages.pages] == sorted(page.commit.stamp for page in pages.pages)
    assert len({page.url for page in pages.pages}) == len(pages.pages)
    assert all(page.url.lower().startswith(("http://", "https://")) for page in pages.pages)
    assert pages.after(pages.newest.stamp) == ()


def make_catalog_page(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("catalog-page"),))


def use_catalog_page(body: bytes) -> None:
    found = read_catalog_page(body)
    assert len(found.changes) <= len(orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))["items"])
    for change in found.changes:
        assert change.commit in found.commits
        assert change.commit.stamp <= found.newest
        assert change.package is None or change.package.id == change.package_id


def use_catalog_leaf(body: bytes) -> None:
    stated = read_stated_file(body, VULNERABLE)
    assert stated.size is None or stated.size > 0


def make_service_index(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("service-index"),))


def use_service_index(body: bytes) -> None:
    endpoints = read_service_index(body)
    single = (
        *(endpoints.flat_container, endpoints.registrations, endpoints.vulnerabilities),
        *(endpoints.repository_signatures, endpoints.catalog),
    )
    for url in (*(each for each in single if each is not None), *endpoints.search, *endpoints.autocomplete):
        assert url.lower().startswith(("http://", "https://"))
    for folder in (endpoints.flat_container, endpoints.registrations):
        assert folder is None or folder.endswith("/")
    check_service_index(body)


def make_vulnerability_index(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("vulnerability-index"),))


def use_vulnerability_index(body: bytes) -> None:
    entries = read_vulnerability_index(body)
    pages = VulnerabilityPages(tuple(VulnerabilityPage(e.name, e.updated, {}, e.comment) for e in entries))
    merged = merge_vulnerabilities([("one", pages), ("two", pages)])
    again = read_vulnerability_index(_checked(write_vulnerability_index(merged, LINKS)))
    assert [(each.name, each.updated) for each in again] == [(each.name, each.updated) for each in merged.pages]
    assert len(again) == len({each.name for each in again}) <= MOST_PAGES
    assert all(0 < len(each.name) <= LONGEST_NAME for each in again)


def make_vulnerability_page(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("vulnerability-page"),))


def use_vulnerability_page(body: bytes) -> None:
    found = read_vulnerability_page(body)
    assert read_vulnerability_page(write_vulnerability_page(VulnerabilityPage("base", "", found))) == found
    for advisories in found.values():
        for advisory in advisories:
            assert type(advisory["severity"]) is int
            assert type(advisory["url"]) is type(advisory["versions"]) is str


def make_signatures(choices: Choices) -> bytes:
    return document_bytes(choices, (_kept("repository-signatures"),))


def use_signatures(body: bytes) -> None:
    found = read_repository_signatures(body)
    merged = merge_repository_signatures([found, found])
    again = read_repository_signatures(write_repository_signatures(merged, LINKS, "5.0.0"))
    assert again.all_repository_signed == found.all_repository_signed
    assert len(again.addresses) == len(again.certificates) <= len(found.certificates)
    assert found.addresses.keys() <= again.addresses.keys()
    assert all(url.startswith(BASE) for url in again.addresses.values())


_REFUSALS: Final = (UnreadableDocument, EmptyDocument, DocumentTooLarge)

TARGETS: Final = (
    Target("registration index", make_index, use_index, _REFUSALS),
    Target("registration page", make_page, use_page, _REFUSALS),
    Target("search answer", make_search, use_search, _REFUSALS),
    Target("autocomplete answer", make_completion, use_completion, _REFUSALS),
    Target("versions list", make_versions, use_versions, _REFUSALS),
    Target("catalog entry", make_catalog_entry, use_catalog_entry, _REFUSALS),
    Target("catalog index", make_catalog_index, use_catalog_index, _REFUSALS),
    Target("catalog page", make_catalog_page, use_catalog_page, _REFUSALS),
    Target("catalog leaf", make_catalog_entry, use_catalog_leaf, _REFUSALS),
    Target("service index", make_service_index, use_service_index, _REFUSALS),
    Target("vulnerability index", make_vulnerability_index, use_vulnerability_index, _REFUSALS),
    Target("vulnerability page", make_vulnerability_page, use_vulnerability_page, _REFUSALS),
    Target("repository signatures", make_signatures, use_signatures, _REFUSALS),
)
