"""Fixtures of the flows: a gallery with a package for every resource."""

import time
from collections.abc import Callable

import pytest

from nugetproxy.mirroring.documents.mirrored_documents import MirroredDocuments
from tests.fakes.upstream import FakeUpstream


@pytest.fixture
def stocked(upstream: FakeUpstream) -> FakeUpstream:
    """The fake upstream with `Contoso.Utils` (deprecated, vulnerable, dependent) and `Contoso.Base`."""
    stock(upstream)
    return upstream


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Call it with seconds: for documents, this much time has passed."""
    skipped = 0.0
    made = MirroredDocuments.__init__

    def with_clock(self, *args, **kwargs):
        made(self, *args, **{**kwargs, "clock": lambda: time.time() + skipped})

    monkeypatch.setattr(MirroredDocuments, "__init__", with_clock)

    def skip(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds

    return skip


def stock(upstream: FakeUpstream) -> None:
    upstream.add_package("Contoso.Base", "1.0.0")
    upstream.add_package("Contoso.Utils", "1.0.0", dependencies=[("Contoso.Base", "1.0.0")])
    upstream.add_package("Contoso.Utils", "1.1.0-Beta.1", dependencies=[("Contoso.Base", "1.0.0")])
    advisory = {"url": "https://github.com/advisories/GHSA-1", "severity": 2, "versions": "(, 1.1.0)"}
    upstream.add_package(
        "Contoso.Utils",
        "2.0.0",
        dependencies=[("Contoso.Base", "1.0.0")],
        deprecation={"@id": f"{upstream.base}/v3/catalog0/x.json#deprecation", "reasons": ["Legacy"]},
        vulnerabilities=(
            {"@id": f"{upstream.base}/v3/catalog0/x.json#v/1", "advisoryUrl": advisory["url"], "severity": "2"},
        ),
    )
    upstream.gallery.advisories = {"contoso.utils": [advisory]}
