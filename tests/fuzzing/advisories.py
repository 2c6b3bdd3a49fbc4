"""Files of advisories, which may come from a public database: read, rendered as a page, and read again."""

from typing import Any, Final

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.advisories.reading import read_advisories, written_page
from nugetproxy.protocol.advisories.values import merged
from nugetproxy.protocol.v3.vulnerabilities import read_vulnerability_page, write_vulnerability_page
from tests.fuzzing.choices import Choices
from tests.fuzzing.json_documents import document_bytes
from tests.fuzzing.target import Target

_UPDATED: Final = "2026-01-01T00:00:00Z"
_OSV: Final[dict[str, Any]] = {
    "id": "GHSA-1",
    "published": "2026-01-01T00:00:00Z",
    "withdrawn": None,
    "affected": [
        {
            "package": {"ecosystem": "NuGet", "name": "Contoso.A"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.3-beta"}, {"introduced": "2.0"}]},
                {"type": "SEMVER", "events": [{"introduced": "3.0.0"}, {"last_affected": "3.0.0.1"}]},
            ],
            "versions": ["1.0.0", "9.0"],
        }
    ],
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "references": [{"type": "ADVISORY", "url": "https://x.example"}],
    "database_specific": {"severity": "HIGH"},
}
_PAGE: Final = {"contoso.a": [{"url": "https://x.example", "severity": 2, "versions": "[1.0, 2.0)"}]}


def make_advisories(choices: Choices) -> bytes:
    return document_bytes(choices, (_OSV, [_OSV, _OSV], _PAGE))


def use_advisories(body: bytes) -> None:
    found = merged([read_advisories(body)], _UPDATED)
    assert merged([read_advisories(written_page(found.page(dated=True).body))], _UPDATED) == found
    # Clients read all of it: nothing that an upstream would be refused for.
    page = found.page()
    assert read_vulnerability_page(write_vulnerability_page(page)) == page.body
    for lower_id, advisories in found.by_id.items():
        for each in advisories:
            bounds = (each.versions.minimum, each.versions.maximum)
            for bound in bounds:
                if bound is not None and each.versions.satisfies(bound):
                    worst = found.worst_severity(lower_id, bound)
                    assert worst is not None
                    assert worst >= each.severity


TARGETS: Final = (Target("advisories", make_advisories, use_advisories, (UnreadableDocument,)),)
