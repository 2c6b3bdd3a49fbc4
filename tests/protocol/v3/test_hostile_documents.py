"""Every reader, with bytes that no upstream should send: it raises UnreadableDocument or returns a writable value."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nugetproxy.errors import UnreadableDocument
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.catalog_reader import read_catalog_index, read_catalog_page
from nugetproxy.protocol.v3.flat_container import read_versions, write_versions
from nugetproxy.protocol.v3.registration import (
    Hive,
    catalog_entry_url,
    read_catalog_entry,
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
from nugetproxy.protocol.v3.service_index import read_service_index
from nugetproxy.protocol.v3.signatures import (
    merge_repository_signatures,
    read_repository_signatures,
    write_repository_signatures,
)
from nugetproxy.protocol.v3.vulnerabilities import (
    VulnerabilityPage,
    VulnerabilityPages,
    merge_vulnerabilities,
    read_vulnerability_index,
    read_vulnerability_page,
    write_vulnerability_index,
    write_vulnerability_page,
)
from tests.protocol.v3.leaves import leaf, read_index, read_page
from tests.protocol.writing import write_catalog_entry, write_index, write_page, write_search

KEPT = Path(__file__).parents[2] / "data" / "nuget_org"
LINKS = Links("http://127.0.0.1:1")
QUERY = SearchQuery("a id:b", prerelease=True, semver_level2=True)
VULNERABLE = PackageIdentity.parse("Made.Vulnerable", "1.0.0")
A_LEAF = registration_of("A", read_page(json.dumps({"items": [leaf("1.0.0")]}).encode()).leaves or ()).leaves[0]


def use_registration(body: bytes, package_id: str) -> None:
    registration = read_index(body, package_id)
    if registration.vague:
        return
    if registration.outlying:
        write_index(registration, Hive.GZ_SEMVER2, LINKS)
        return
    for hive in Hive:
        write_index(registration, hive, LINKS)
        for page in registration.pages:
            write_page(registration, hive, page.lower, page.upper, LINKS)
        for found in registration.leaves:
            write_leaf(found, hive, LINKS)
    for found in registration.leaves:
        catalog_entry_url(found)
        write_catalog_entry(found, None, LINKS)
    registration.keeping(lambda found: found.listed)
    hit = hit_from_leaves(registration.leaves, QUERY)
    if hit is not None:
        write_search(SearchPage(1, (hit,)), QUERY, LINKS)


def use_page(body: bytes) -> None:
    leaves = read_page(body, "Made.Paged").leaves
    assert leaves is not None
    write_index(registration_of("A", leaves), Hive.PLAIN, LINKS)


def use_signatures(body: bytes) -> None:
    value = read_repository_signatures(body)
    assert all(value.addresses.values())
    write_repository_signatures(merge_repository_signatures([value, value]), LINKS, "5.0.0")


def use_vulnerability_index(body: bytes) -> None:
    pages = VulnerabilityPages(
        tuple(VulnerabilityPage(e.name, e.updated, {}, e.comment) for e in read_vulnerability_index(body))
    )
    write_vulnerability_index(merge_vulnerabilities([("one", pages), ("two", pages)]), LINKS)


USES: dict[str, Callable[[bytes], object]] = {
    "service-index": read_service_index,
    "versions-dapper": lambda body: write_versions(read_versions(body)),
    "registration-index-system.text.json": partial(use_registration, package_id="System.Text.Json"),
    "registration-index-made.semver2": partial(use_registration, package_id="Made.SemVer2"),
    "registration-index-made.paged": partial(use_registration, package_id="Made.Paged"),
    "registration-page-made.paged": use_page,
    "catalog-entry-made.vulnerable": lambda body: write_catalog_entry(
        A_LEAF, read_catalog_entry(body, VULNERABLE), LINKS
    ),
    "catalog-index": read_catalog_index,
    "catalog-page": read_catalog_page,
    "search": lambda body: write_search(read_search(body), QUERY, LINKS),
    "autocomplete": lambda body: write_completion(read_completion(body, of_versions=False), CompletionQuery(), LINKS),
    "vulnerability-index": use_vulnerability_index,
    "vulnerability-page": lambda body: write_vulnerability_page(
        VulnerabilityPage("base", "", read_vulnerability_page(body))
    ),
    "repository-signatures": use_signatures,
}

SETTINGS = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Values that a careless or hostile server may send in place of the expected one.
ODD_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", "..", "http://", "https://[", "1.0.0-a.1+b", "[1.0.0-a.1, )", "(", "\x00", "%", "\U0001f600"]),
)
ANY_JSON = st.recursive(
    ODD_VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", USES)
def test_real_documents_are_accepted(name):
    USES[name]((KEPT / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", USES)
@SETTINGS
@given(data=st.data())
def test_changed_documents(name, data):
    """
    One to three values of a real document are replaced, removed or duplicated.
    """
    document = json.loads((KEPT / f"{name}.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data)
    use(name, json.dumps(document, ensure_ascii=False).encode())


@pytest.mark.parametrize("name", USES)
@SETTINGS
@given(value=ANY_JSON)
def test_any_json(name, value):
    use(name, json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize("name", USES)
@SETTINGS
@given(data=st.data())
def test_damaged_bytes(name, data):
    body = (KEPT / f"{name}.json").read_bytes()
    start = data.draw(st.integers(0, len(body)))
    use(name, body[:start] + data.draw(st.binary(max_size=4)) + body[start + data.draw(st.integers(0, 4)) :])


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"items":[{"items":[', b'{"catalogEntry":'])
@pytest.mark.parametrize("levels", [40, 63, 200, 300, 100_000])
def test_nesting(name, opening, levels):
    closing = {ord("["): b"]", ord("{"): b"}"}
    tail = b"".join(closing[c] for c in reversed(opening) if c in closing)

    use(name, opening * levels + b"1" + tail * levels)


def use(name: str, body: bytes) -> None:
    with contextlib.suppress(UnreadableDocument):
        USES[name](body)


def changed(document: Any, data: st.DataObject) -> Any:
    """`document` with one random value changed, at a random depth."""
    holder: Any = None
    key: Any = None
    value = document
    while isinstance(value, dict | list) and value and (holder is None or data.draw(st.integers(0, 5))):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        holder, key = value, data.draw(st.sampled_from(list(keys)))
        value = holder[key]
    if holder is None:
        return data.draw(ANY_JSON)
    match data.draw(st.sampled_from(["replace", "remove", "wrap", "twice"])):
        case "remove":
            del holder[key]
        case "wrap":
            holder[key] = [value]
        case "twice" if isinstance(holder, list):
            holder.append(value)
        case _:
            holder[key] = data.draw(ANY_JSON)
    return document
