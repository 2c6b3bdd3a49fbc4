"""Files of advisories: both forms, and what is said about a mistake."""

import json
from typing import Any

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.advisories.reading import read_advisories, written_page
from nugetproxy.protocol.advisories.values import Advisories, Severity, merged, with_advisories

URL = "https://c.example/1"
RECORD = {
    "id": "C-1",
    "affected": [{"package": {"ecosystem": "NuGet", "name": "Contoso.A"}, "versions": ["1.0.0"]}],
    "references": [{"type": "ADVISORY", "url": URL}],
}


def row(**changes: Any) -> dict[str, Any]:
    return {"url": URL, "severity": 2, "versions": "(, 2.0.0)", **changes}


def read(value: object) -> Advisories:
    return merged([read_advisories(json.dumps(value).encode())], "2026-01-01T00:00:00Z")


def test_each_form_is_recognised():
    assert list(read({"Contoso.A": [row()]}).by_id) == ["contoso.a"]
    assert list(read(RECORD).by_id) == ["contoso.a"]
    assert list(read([RECORD, {**RECORD, "id": "C-2"}]).by_id) == ["contoso.a"]
    assert not read({})
    assert not read([])
    assert read_advisories(b"\xef\xbb\xbf []") == {}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"Contoso.A": [row(severity=4)]}, 'Contoso.A: expected "severity" to be 0'),
        ({"Contoso.A": [row(severity=None)]}, 'expected "severity"'),
        ({"Contoso.A": [row(url="ftp://x")]}, 'expected "url"'),
        ({"Contoso.A": [row(versions="")]}, 'expected "versions"'),
        ({"Contoso.A": [row(versions="[2.0, 1.0]")]}, "lower bound is higher"),
        ({"Contoso.A": ["high"]}, 'expected "url"'),
        ({"Contoso.A": row()}, "expected an array"),
        ({"not an id": []}, "not an id"),
        ({"schema_version": "1.6.0"}, "schema_version: expected an array"),
        ({**RECORD, "references": []}, "OSV advisory 'C-1': no link"),
        ([RECORD, {"affected": []}], 'not an OSV record, which has an "id"'),
        ("text", "expected a JSON object"),
    ],
)
def test_a_mistake_is_named(value, why):
    with pytest.raises(UnreadableDocument, match=why):
        read(value)


def test_text_that_is_no_json():
    with pytest.raises(UnreadableDocument, match="not JSON"):
        read_advisories(b"{")


def test_severities_in_words():
    assert read({"A": [row(severity="Critical")]}).by_id["a"][0].severity is Severity.CRITICAL


def test_the_worst_known_vulnerability():
    known = read({"A": [row(), row(severity=3, versions="[1.0]"), row(url="https://other.example", severity=0)]})
    worst = {text: known.worst_severity("a", NuGetVersion.parse(text)) for text in ("1.0", "1.5", "2.0")}

    assert worst == {"1.0": Severity.CRITICAL, "1.5": Severity.HIGH, "2.0": None}
    assert known.worst_severity("b", NuGetVersion.parse("1.0")) is None
    # One for each URL, the worst.
    assert [each.severity for each in known.about("a", NuGetVersion.parse("1.0"))] == [3, 0]


def test_the_page_can_be_read_again():
    known = read({"B": [row(), row(), row(published="2026-02-01T00:00:00+01:00", severity=0)]})
    page, dated = known.page(), known.page(dated=True)
    rows = [{"url": URL, "severity": 2, "versions": "(, 2.0.0)"}, {"url": URL, "severity": 0, "versions": "(, 2.0.0)"}]

    assert known.count == 2
    assert (page.name, page.updated, page.body) == ("private", "2026-01-01T00:00:00Z", {"b": rows})
    assert dated.body["b"][1]["published"] == "2026-01-31T23:00:00.0000000Z"
    assert merged([read_advisories(written_page(dated.body))], known.updated) == known


def test_an_entry_with_advisories():
    found = read({"A": [row()]}).by_id["a"]
    stated = {"advisoryUrl": URL, "severity": "1"}
    ours = {"@type": "Vulnerability", "advisoryUrl": URL, "severity": "2"}

    assert with_advisories({"id": "A"}, found) == {"id": "A", "vulnerabilities": [ours]}
    assert with_advisories({"vulnerabilities": [stated]}, found) == {"vulnerabilities": [stated]}
    assert with_advisories({"vulnerabilities": "x"}, found, numbers=True) == {
        "vulnerabilities": [{"advisoryUrl": URL, "severity": 2}]
    }
