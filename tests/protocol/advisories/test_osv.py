"""OSV records: which versions of which ids are affected, how badly, and where to read about it."""

from typing import Any

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.advisories.osv import intervals_of, read_osv, severity_of, url_of
from nugetproxy.protocol.advisories.values import Severity, published_at


def events(*pairs: tuple[str, str], kind: str = "SEMVER") -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": [{name: version} for name, version in pairs]}]}


def record(**changes: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "NuGet", "name": "Contoso.Utils"}, **events(("introduced", "0"))}
    return {
        "id": "CONTOSO-1",
        "affected": [affected],
        "references": [{"type": "ADVISORY", "url": "https://c.example/1"}],
        **changes,
    }


@pytest.mark.parametrize(
    ("affected", "expected"),
    [
        (events(("introduced", "0")), ["(, )"]),
        (events(("introduced", "0"), ("fixed", "2.0.0")), ["(, 2.0.0)"]),
        (events(("introduced", "0"), ("last_affected", "2.0.0")), ["(, 2.0.0]"]),
        (events(("introduced", "1.0")), ["[1.0.0, )"]),
        (events(("introduced", "1.0.0"), ("fixed", "1.2.3"), kind="ECOSYSTEM"), ["[1.0.0, 1.2.3)"]),
        (events(("introduced", "1.0.0-beta.2"), ("last_affected", "1.2.3.4")), ["[1.0.0-beta.2, 1.2.3.4]"]),
        (events(("introduced", "1.0"), ("last_affected", "1.0")), ["[1.0.0, 1.0.0]"]),
        # In any order; a second introduction inside an affected range changes nothing.
        (events(("fixed", "1.5"), ("introduced", "2.0"), ("introduced", "1.0"), ("fixed", "2.1")),
         ["[1.0.0, 1.5.0)", "[2.0.0, 2.1.0)"]),
        (events(("introduced", "1.0"), ("introduced", "1.1"), ("fixed", "2.0")), ["[1.0.0, 2.0.0)"]),
        (events(("introduced", "1.0"), ("fixed", "1.5"), ("fixed", "1.7")), ["[1.0.0, 1.5.0)"]),
        # Fixed and introduced again with the same version: it is affected.
        (events(("introduced", "1.0"), ("fixed", "2.0"), ("introduced", "2.0"), ("fixed", "3.0")),
         ["[1.0.0, 2.0.0)", "[2.0.0, 3.0.0)"]),
        (events(("introduced", "0"), ("limit", "*")), ["(, )"]),
        ({"versions": ["1.0", "1.0.1-rc"]}, ["[1.0.0, 1.0.0]", "[1.0.1-rc, 1.0.1-rc]"]),
        ({**events(("introduced", "0"), ("fixed", "2.0")), "versions": ["1.0.0", "2.0.0-beta", "3.0.0"]},
         ["(, 2.0.0)", "[3.0.0, 3.0.0]"]),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}, *events(("introduced", "4.0"))["ranges"]]},
         ["[4.0.0, )"]),
    ],
)  # fmt: skip
def test_affected_versions_as_ranges(affected, expected):
    assert [interval.normalized for interval in intervals_of(affected)] == expected


@pytest.mark.parametrize(
    ("affected", "why"),
    [
        ({}, "neither a range with events nor versions"),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "neither a range"),
        (events(("fixed", "1.0")), 'begin with an event "introduced"'),
        (events(), 'begin with an event "introduced"'),
        (events(("fixed", "1.0"), ("introduced", "2.0")), 'begin with an event "introduced"'),
        (events(("introduced", "soon")), "soon"),
        (events(("introduced", "0"), ("fixed", "0")), ""),
        (events(("introduced", "0"), ("limit", "2.0")), "'limit' is not supported"),
        (events(("introduced", "0"), kind="FANCY"), "'FANCY' is unknown"),
        ({"versions": [1.0]}, "''"),
        ({**events(("introduced", "0")), "versions": "1.0"}, "versions is not an array"),
        ({"ranges": "all"}, "ranges is not an array"),
        ({"ranges": [{"type": "SEMVER", "events": ["introduced"]}]}, "events is not an array"),
    ],
)
def test_what_cannot_be_read_is_refused(affected, why):
    if why:
        with pytest.raises(UnreadableDocument, match=why):
            intervals_of(affected)
    else:
        assert [interval.normalized for interval in intervals_of(affected)] == ["(, 0.0.0)"]


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("0.9", False), ("1.0-rc", False), ("1.0.0", True), ("1.4.9", True), ("1.5.0-rc", True), ("1.5", False)],
)
def test_which_versions_are_affected(version, is_affected):
    [interval] = intervals_of(events(("introduced", "1.0"), ("fixed", "1.5")))

    assert interval.satisfies(NuGetVersion.parse(version)) is is_affected


CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize(
    ("stated", "affected", "severity"),
    [
        ({"database_specific": {"severity": "LOW"}}, {}, Severity.LOW),
        ({"database_specific": {"severity": "moderate"}}, {}, Severity.MODERATE),
        ({"database_specific": {"severity": "MEDIUM"}}, {}, Severity.MODERATE),
        ({"database_specific": {"severity": "HIGH"}}, {"database_specific": {"severity": "LOW"}}, Severity.LOW),
        ({"severity": [{"type": "CVSS_V3", "score": CRITICAL}]}, {}, Severity.CRITICAL),
        ({"severity": [{"type": "CVSS_V3", "score": CRITICAL.replace("S:U/C:H/I:H/A:H", "S:U/C:L/I:N/A:N")}]}, {},
         Severity.MODERATE),
        ({"severity": [{"score": CRITICAL}]}, {"severity": [{"score": CRITICAL.replace("AV:N", "AV:P")}]},
         Severity.MODERATE),
        ({"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}, None]}, {}, Severity.HIGH),
        ({"severity": [{"score": CRITICAL}], "database_specific": {"severity": "?"}}, {}, Severity.CRITICAL),
        ({"id": "MAL-2025-1"}, {}, Severity.CRITICAL),
        ({"severity": "high", "database_specific": "high"}, {}, Severity.HIGH),
    ],
)  # fmt: skip
def test_severity(stated, affected, severity):
    assert severity_of(record(**stated), affected) is severity


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://c.example/1"),
        ({"references": [{"type": "WEB", "url": "https://w.example"}, {"type": "ADVISORY", "url": "https://a.example"}]},
         "https://a.example"),
        ({"references": [{"type": "FIX", "url": "https://f.example"}]}, "https://f.example"),
        ({"references": [{"type": "ADVISORY", "url": "javascript:alert(1)"}], "id": "GHSA-1"},
         "https://github.com/advisories/GHSA-1"),
        ({"references": None, "id": "CVE-2026-1"}, "https://nvd.nist.gov/vuln/detail/CVE-2026-1"),
    ],
)  # fmt: skip
def test_where_to_read_about_it(changes, url):
    assert url_of(record(**changes)) == url


def test_an_advisory_without_a_link_is_refused():
    with pytest.raises(UnreadableDocument, match='add "references"'):
        url_of(record(references=[]))


def test_a_record():
    other = {"package": {"ecosystem": "npm", "name": "contoso"}, "versions": ["not a NuGet version"]}
    found = read_osv(record(affected=[*record()["affected"], other], published="2026-02-01T00:00:00Z"))

    assert list(found) == ["contoso.utils"]
    [advisory] = found["contoso.utils"]
    assert (advisory.url, advisory.severity, advisory.versions.normalized, advisory.published) == (
        "https://c.example/1", Severity.HIGH, "(, )", 1769904000.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"affected": [{"package": {"ecosystem": "NuGet", "name": "a b"}}]}, "a b"),
        ({"affected": {}}, "affected is not an array"),
        ({"affected": [None]}, "affected is not an array"),
        ({"references": [1]}, "references is not an array"),
    ],
)
def test_a_record_that_cannot_be_read(changes, why):
    with pytest.raises(UnreadableDocument, match=why):
        read_osv(record(**changes))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-02-01T00:00:00Z", 1769904000),
        ("2026-02-01T00:00:00.9+01:00", 1769900400),
        ("2026-02-01T00:00:00", None),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_when_it_was_published(text, seconds):
    assert published_at(text) == seconds


@pytest.mark.parametrize("changes", [{"withdrawn": "2026-01-01T00:00:00Z"}, {"affected": []}, {"affected": None}])
def test_records_that_affect_nothing(changes):
    assert read_osv(record(**changes)) == {}
