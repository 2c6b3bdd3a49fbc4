"""What one version adds to an answer of search and autocomplete."""

import json
from typing import Any

import orjson
import pytest

from nugetproxy.protocol.bounds import LARGEST_DOCUMENT, LARGEST_VERSION
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.manifest_leaf import leaf_from_manifest
from nugetproxy.protocol.v3.search import (
    SearchHit,
    SearchPage,
    SearchQuery,
    hit_from_leaves,
    read_completion,
    read_search,
)
from tests.hostile.manifests import ENTRIES, MANIFESTS
from tests.protocol.writing import write_search

LINKS = Links("https://packages.example.com/nuget")
QUERY = SearchQuery(semver_level2=True)


def answer(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"totalHits": len(rows), "data": rows}).encode()


def row(package_id: str, versions: int = 1, **more: Any) -> dict[str, Any]:
    listed = [{"version": f"1.0.{number}", "downloads": 1} for number in range(versions)]
    return {"id": package_id, "version": f"1.0.{versions - 1}", "versions": listed, **more}


def shown(page: SearchPage) -> list[dict[str, Any]]:
    body = write_search(page, QUERY, LINKS)
    assert len(body) <= LARGEST_DOCUMENT
    hits: list[dict[str, Any]] = json.loads(body)["data"]
    return hits


@pytest.mark.parametrize("name", ENTRIES)
def test_a_mirrored_hit_is_small_or_left_out(name):
    hits = shown(read_search(answer(row("Hostile", **ENTRIES[name]()), row("Usual"))))

    assert max(len(orjson.dumps(hit)) for hit in hits) <= LARGEST_VERSION + 1_000
    # A version known to be vulnerable is left out rather than shown as not vulnerable.
    left_out = name in {"vulnerabilities", "long vulnerabilities", "reasons"}
    assert [hit["id"] for hit in hits] == (["Usual"] if left_out else ["Hostile", "Usual"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hosted_hit_is_small(name):
    hit = hit_from_leaves([leaf_from_manifest(MANIFESTS[name](), published="2024-01-01")], QUERY)
    assert hit is not None

    (only,) = shown(SearchPage(1, (hit,)))

    assert len(orjson.dumps(only)) <= LARGEST_VERSION + 1_000


def test_a_row_of_versions_is_small():
    rows = [{"version": "1.0.0", "downloads": 3, "unknown": "x" * 100_000}, {"version": "1.0.1-" + "a" * 1_000}]

    (only,) = shown(read_search(answer({**row("Hostile"), "versions": rows})))

    assert [(each["version"], each["downloads"]) for each in only["versions"]] == [("1.0.0", 0)]


def test_a_page_that_would_be_too_large_has_all_its_hits():
    hits = [SearchHit(f"Big{number}", row(f"Big{number}", 30, description="d" * 200_000)) for number in range(200)]

    written = shown(SearchPage(200, tuple(hits)))

    assert [hit["id"] for hit in written] == [hit.id for hit in hits]
    assert {len(hit["description"]) for hit in written} == {200}
    assert {len(hit["versions"]) for hit in written} == {30}


def test_a_page_of_many_versions_shows_the_newest(monkeypatch):
    """
    With a small limit, because a page of the real size takes seconds to write.
    """
    monkeypatch.setattr("nugetproxy.protocol.v3.search_writer.LARGEST_DOCUMENT", 500_000)
    page = SearchPage(100, (SearchHit("Big", row("Big", 200)),) * 100)

    body = write_search(page, QUERY, LINKS)

    hits = json.loads(body)["data"]
    assert len(body) <= 500_000
    assert len(hits) == 100
    assert {hit["versions"][-1]["version"] for hit in hits} == {"1.0.199"}
    assert all(10 < len(hit["versions"]) < 200 for hit in hits)


def test_what_can_be_neither_id_nor_version_is_not_completed():
    assert read_completion(json.dumps({"data": ["A", "a" * 300, 1]}).encode(), of_versions=False).values == ("A",)
