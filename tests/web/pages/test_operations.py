"""Health and metrics."""

import gzip

import orjson
import pytest

from tests.fakes.feed import FakeFeed
from tests.web.serving import serving


async def not_ready() -> tuple[bool, str]:
    return False, "the disk is full"


async def test_live_is_always_200():
    """
    A process that responds is alive, whatever else is wrong.
    """
    async with serving(FakeFeed(), ready=not_ready) as client, client.get("/health/live") as answer:
        assert (answer.status, orjson.loads(await answer.read())) == (200, {"live": True})


async def test_ready_tells_why_not():
    """
    503 with the reason, so that a load balancer's log is self-explanatory.
    """
    async with serving(FakeFeed(), ready=not_ready) as client, client.get("/health/ready") as answer:
        assert (answer.status, answer.reason) == (503, "the disk is full")
        assert orjson.loads(await answer.read()) == {"ready": False, "reason": "the disk is full"}


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text", b"# EOF\n"),
        ("text/plain;version=not-a-number", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
    ],
)
async def test_metrics_speak_both_formats(accept, content_type, end):
    """
    The classic text format, and OpenMetrics for scrapers that ask for it.
    """
    headers = {} if accept is None else {"Accept": accept}
    async with serving(FakeFeed()) as client, client.get("/metrics", headers=headers) as answer:
        body = await answer.read()

    assert answer.headers["Content-Type"].startswith(content_type)
    assert body.endswith(end)
    assert b"nugetproxy_requests_total" in body


async def test_metrics_are_compressed_for_scrapers():
    """
    Prometheus always accepts gzip.
    """
    async with serving(FakeFeed()) as client, client.get("/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        assert b"nugetproxy" in gzip.decompress(await answer.read())


async def test_metrics_of_several_processes_are_added_up(tmp_path, monkeypatch):
    """
    With a shared directory, any process answers for all of them.
    """
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    async with serving(FakeFeed()) as client, client.get("/metrics") as answer:
        assert (answer.status, (await answer.read()).strip()) == (200, b"")


async def test_metrics_can_be_switched_off():
    """
    The path then gives a 404 that says why.
    """
    async with serving(FakeFeed(), {"metrics": {"enabled": False}}) as client, client.get("/metrics") as answer:
        assert (answer.status, answer.reason) == (404, "metrics are switched off")
