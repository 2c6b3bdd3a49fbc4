"""What an upstream client counts."""

import contextlib

import pytest

from nugetproxy.errors import UpstreamError
from nugetproxy.metrics import UPSTREAM_BYTES, UPSTREAM_REQUESTS, UPSTREAM_RESUMED, UPSTREAM_SECONDS
from tests.fakes import faults
from tests.mirroring.clients import a_client

LIST = "/v3-flatcontainer/a/index.json"
RESULTS = ("2xx", "304", "404", "429", "4xx", "5xx", "timeout", "connect", "broken", "nonsense")
NUPKG = "/v3-flatcontainer/a/1.0.0/a.1.0.0.nupkg"


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (faults.Fault(), "2xx"),
        (faults.status(404), "404"),
        (faults.status(410), "404"),
        (faults.status(403), "4xx"),
        (faults.status(429), "429"),
        (faults.status(502), "5xx"),
        (faults.truncated(5), "broken"),
        (faults.stalled(5), "timeout"),
        (faults.silent(), "timeout"),
        (faults.redirect("http://portal.invalid/"), "nonsense"),
        (faults.Fault(status=200, headers={"Content-Encoding": "gzip"}, body=b"not gzip"), "nonsense"),
    ],
)
async def test_every_request_is_counted_once_by_its_result(upstream, fault, result):
    upstream.add_package("A", "1.0.0")
    upstream.fault(LIST, fault)
    counts = {word: UPSTREAM_REQUESTS.labels("counted", word)._value for word in RESULTS}
    before = {word: value.get() for word, value in counts.items()}
    async with a_client(upstream, name="counted") as client:
        with contextlib.suppress(UpstreamError):
            await client.fetch(upstream.base + LIST, patience=0)

    assert {result: 1} == {word: n for word, value in counts.items() if (n := value.get() - before[word])}


async def test_bytes_heads_and_resumptions_are_counted(upstream):
    package = upstream.add_package("A", "1.0.0", padding=300_000)
    upstream.fault(NUPKG, faults.truncated(100_000), times=1)
    async with (
        a_client(upstream, name="streamed") as client,
        client.download(upstream.base + NUPKG, patience=5) as download,
    ):
        async for _ in download.chunks():
            pass

    assert len(package.nupkg) == UPSTREAM_BYTES.labels("streamed")._value.get()
    assert UPSTREAM_RESUMED.labels("streamed")._value.get() == 1
    assert sum(bucket.get() for bucket in UPSTREAM_SECONDS.labels("streamed")._buckets) == 2
