"""MirroredSource: how often the service index is read."""

from typing import Any, cast

import orjson
import pytest

from nugetproxy.errors import UpstreamUnavailable
from nugetproxy.httpcache.decisions import Mode
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.mirroring.documents.mirrored_documents import KeptDocument
from nugetproxy.mirroring.documents.source import MirroredSource

INDEX = "https://upstream.test/v3/index.json"


class Documents:
    """The service index, fresh for `fresh_for` seconds after each read."""

    def __init__(self):
        self.clock = 1000.0
        self.fresh_for = 60.0
        self.container = "https://upstream.test/flat/"
        self.is_failing = False
        self.looks = 0

    def now(self) -> float:
        return self.clock

    async def get(self, upstream, url, kind, **_) -> KeptDocument:
        self.looks += 1
        if self.is_failing:
            raise UpstreamUnavailable("fake", "away")
        resource = {"@id": self.container, "@type": "PackageBaseAddress/3.0.0"}
        body = orjson.dumps({"version": "3.0.0", "resources": [resource]})
        provenance = Provenance(Outcome.HIT, fresh_for=self.fresh_for)
        return KeptDocument(body, "application/json", url, provenance, f"digest of {self.container}", 0.0, 0.0)


class Upstream:
    name = "fake"

    def allow(self, url: str, *, essential: bool = False) -> None:
        pass


@pytest.fixture
def documents() -> Documents:
    return Documents()


@pytest.fixture
def source(documents) -> MirroredSource:
    upstream: Any = Upstream()
    return MirroredSource(upstream, service_index=INDEX, mode=Mode.ONLINE, documents=cast(Any, documents))


async def test_a_fresh_service_index_is_read_once(source, documents):
    for _ in range(5):
        assert (await source.endpoints()).flat_container == "https://upstream.test/flat/"
        documents.clock += 11.0
    assert documents.looks == 1

    documents.container = "https://upstream.test/moved/"
    documents.clock += 5.0
    assert (await source.endpoints()).flat_container == "https://upstream.test/moved/"
    assert documents.looks == 2


@pytest.mark.parametrize("fresh_for", [0.0, -30.0])
async def test_a_stale_service_index_is_read_every_time(source, documents, fresh_for):
    documents.fresh_for = fresh_for
    await source.endpoints()
    documents.is_failing = True
    with pytest.raises(UpstreamUnavailable):
        await source.endpoints()


async def test_a_clock_that_was_set_back_does_not_keep_it_fresh(source, documents):
    await source.endpoints()
    documents.clock -= 3600.0
    await source.endpoints()
    assert documents.looks == 2
