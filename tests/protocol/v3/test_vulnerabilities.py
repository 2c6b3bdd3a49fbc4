import json

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.v3.vulnerabilities import (
    VulnerabilityIndexEntry,
    VulnerabilityPage,
    VulnerabilityPages,
    merge_vulnerabilities,
    read_vulnerability_index,
    read_vulnerability_page,
    write_vulnerability_index,
    write_vulnerability_page,
)
from tests.protocol.urls import foreign_urls

ADVISORY = {"url": "https://advisories.example/1", "severity": 2, "versions": "(, 2.0.0)"}


def page(name, body=None, updated="2026-01-01T00:00:00Z", comment=""):
    return VulnerabilityPage(name, updated, body if body is not None else {"a": [ADVISORY]}, comment)


def pages(*names):
    return VulnerabilityPages(tuple(page(name) for name in names))


def read_page(value):
    return read_vulnerability_page(json.dumps(value).encode())


def test_nuget_orgs_index_is_understood(kept):
    base, update = read_vulnerability_index(kept("vulnerability-index"))

    assert (base.name, update.name) == ("base", "update")
    assert base.url.endswith("/vulnerability.base.json")
    assert base.updated == "2026-11-20T05:27:29.2163256Z"


def test_nuget_orgs_page_is_unchanged(kept):
    body = read_vulnerability_page(kept("vulnerability-page"))

    assert json.loads(write_vulnerability_page(page("base", body))) == json.loads(kept("vulnerability-page"))


def test_a_time_that_clients_cannot_read_is_replaced():
    body = b'[{"@name":"base","@id":"https://a.example/b","@updated":"yesterday"}]'

    assert read_vulnerability_index(body) == (
        VulnerabilityIndexEntry("base", "https://a.example/b", "1970-01-01T00:00:00Z"),
    )


def test_only_as_many_pages_are_read_as_clients_read():
    entries = [{"@name": f"n{number}", "@id": "https://a.example/b", "@updated": "2026-01-01"} for number in range(40)]

    assert len(read_vulnerability_index(json.dumps(entries).encode())) == 16


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b"[{}]", b'[{"@name":"base"}]', b'[{"@id":"https://a"}]', b'[{"@name":"b","@id":"b.json"}]'],
)
def test_a_broken_index_is_unreadable_as_a_whole(body):
    """
    A page skipped silently would look like safety.
    """
    with pytest.raises(UnreadableDocument):
        read_vulnerability_index(body)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({}, {}),
        ({}, []),
        ({"a": [ADVISORY]}, {"A": [ADVISORY]}),
        ({"a": [ADVISORY, ADVISORY]}, {"A": [ADVISORY], "a": [ADVISORY]}),
        ({"a": [{**ADVISORY, "more": 1}]}, {"a": [{**ADVISORY, "more": 1}]}),
        ({"a": [ADVISORY]}, {"a": [{**ADVISORY, "severity": "2"}]}),
        ({"a": [ADVISORY]}, {"a": [{"url": "u"}, None, ADVISORY]}),
        ({"a": [ADVISORY]}, {"a": [{**ADVISORY, "Url": "https://x.example", "SEVERITY": "x"}]}),
        ({"a": []}, {"a": [{**ADVISORY, "versions": None}]}),
        ({"a": []}, {"a": [{**ADVISORY, "versions": "[15.106.0.preview]"}]}),
        ({"a": []}, {"a": [{**ADVISORY, "versions": ""}]}),
        ({"a": [ADVISORY]}, {"a": [ADVISORY], "no id": [ADVISORY], "": [ADVISORY]}),
    ],
)
def test_a_broken_advisory_does_not_affect_the_others(expected, value):
    """
    The client reads a page completely or not at all.
    """
    assert read_page(value) == expected


@pytest.mark.parametrize("severity", [None, True, "high", 1.5, 9, -5, 10**12, {}])
def test_an_advisory_of_unknown_severity_is_kept(severity):
    assert read_page({"a": [{**ADVISORY, "severity": severity}]}) == {"a": [{**ADVISORY, "severity": -1}]}


@pytest.mark.parametrize("url", [None, 1, "", "javascript:alert(1)", "http://["])
def test_an_advisory_without_a_url_is_kept(url):
    assert read_page({"a": [{**ADVISORY, "url": url}]}) == {"a": [{**ADVISORY, "url": ""}]}


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"a":{}}', b'"x"'])
def test_anything_but_a_page_is_unreadable(body):
    with pytest.raises(UnreadableDocument):
        read_vulnerability_page(body)


def test_an_empty_page_is_an_object():
    """
    The documentation specifies `[]`; the client cannot read that.
    """
    assert write_vulnerability_page(page("base", {})) == b"{}"


def test_the_index_links_to_our_pages(links):
    document = json.loads(write_vulnerability_index(VulnerabilityPages((page("base", comment="c"), page("u"))), links))

    assert document == [
        {
            "@name": "base",
            "@id": links.vulnerability_page("base"),
            "@updated": "2026-01-01T00:00:00Z",
            "comment": "c",
        },
        {"@name": "u", "@id": links.vulnerability_page("u"), "@updated": "2026-01-01T00:00:00Z"},
    ]
    assert foreign_urls(document, links.base) == []


def test_pages_are_found_by_name():
    assert pages("base", "update").find("update") == page("update")
    assert pages("base").find("update") is None


@pytest.mark.parametrize(
    ("expected", "several"),
    [
        (["base", "update"], [("one", ["base", "update"])]),
        (["base", "two-base"], [("one", ["base"]), ("two", ["base"])]),
        (["base", "x-base", "x-base-2"], [("x", ["base"]), ("x", ["base", "base"])]),
        (["a-b-c"], [("one", ["a b/c"])]),
        (["x" * 32, "y-" + "x" * 30], [("one", ["x" * 40]), ("y", ["x" * 32])]),
        ([], []),
    ],
)
def test_merged_names_are_unique_and_valid(expected, several):
    merged = merge_vulnerabilities((upstream, pages(*names)) for upstream, names in several)

    assert [page.name for page in merged.pages] == expected


def test_more_than_16_pages_are_merged():
    """
    Clients read at most 16.
    """
    merged = merge_vulnerabilities((f"up{at}", pages("base")) for at in range(20))

    assert len(merged.pages) == 16
    assert len({page.name for page in merged.pages}) == 16
    assert sum(len(page.body["a"]) for page in merged.pages) == 20


@pytest.mark.parametrize("body", [b'{"a":[' + b"{}," * 60_000 + b"{}]}", b'{"a":[]}' + b" " * 17_000_000])
def test_an_oversized_page_is_unreadable(body):
    """
    The last good page is kept: missing advisories would look like safety.
    """
    with pytest.raises(UnreadableDocument, match="more than 50000 advisories or 16777216 bytes"):
        read_vulnerability_page(body)
