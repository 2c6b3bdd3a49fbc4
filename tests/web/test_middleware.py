"""Around every request: ids, statuses, counters and the access log."""

import asyncio
import re

import orjson
import pytest
from prometheus_client import REGISTRY

from nugetproxy import errors
from nugetproxy.feeds.base import Part
from nugetproxy.web.requests.keys import ACCESS
from nugetproxy.web.telemetry.access import AccessLine
from tests.fakes.feed import FakeFeed, Growing
from tests.web.serving import Client, raw, serving

VERSIONS = "/v3/flatcontainer/contoso.utils/index.json"
NUPKG = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"

LOGGED = {"logs": {"access": True}}


def lines_of(client: Client, monkeypatch) -> list[AccessLine]:
    lines: list[AccessLine] = []
    monkeypatch.setattr(client.app[ACCESS], "record", lines.append)
    return lines


@pytest.mark.parametrize(
    ("error", "status", "retry_after", "outcome"),
    [
        (errors.PackageNotFound("Contoso"), 404, None, "absent"),
        (errors.VersionNotFound("Contoso", "1.0.0"), 404, None, "absent"),
        (errors.NotMirrored("Contoso"), 404, None, "absent"),
        (errors.DocumentNotFound("nothing"), 404, None, "absent"),
        (errors.DocumentAbsent("https://upstream.test/x"), 404, None, "absent"),
        (errors.InvalidRequest("what"), 400, None, "refused"),
        (errors.TooLarge("it", 5), 413, None, "refused"),
        (errors.TooMany("connections", 5), 429, "5", "refused"),
        (errors.UpstreamUnavailable("nuget.org", "down"), 503, "5", "failed"),
        (errors.UpstreamUnavailable("nuget.org", "down", retry_after=7.2), 503, "8", "failed"),
        (errors.UpstreamTimeout("nuget.org", "silent"), 504, None, "failed"),
        (errors.UpstreamNonsense("nuget.org", "no JSON"), 502, None, "failed"),
        (errors.StorageUnavailable("disk full"), 503, "5", "failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_an_error_is_reported_with_its_message(error, status, retry_after, outcome, monkeypatch):
    """
    The message is the reason phrase, which NuGet's clients print, and the body contains it with the request's id.
    """
    feed = FakeFeed()
    feed.error = error
    async with serving(feed) as client:
        lines = lines_of(client, monkeypatch)
        async with client.get(VERSIONS, headers={"X-Request-Id": "id-1"}) as answer:
            body = orjson.loads(await answer.read())

    assert (status, str(error)) == (answer.status, answer.reason)
    assert {"error": str(error), "request_id": "id-1"} == body
    assert retry_after == answer.headers.get("Retry-After")
    assert answer.headers["Cache-Control"] == "no-store"
    assert f"nugetproxy; detail={outcome}" == answer.headers["Cache-Status"]
    assert [(status, "versions", outcome)] == [(line.status, line.resource, line.outcome) for line in lines]


@pytest.mark.parametrize(
    "error",
    [
        errors.UpstreamUnavailable("nuget.org", "down"),
        errors.UpstreamTimeout("nuget.org", "silent"),
        errors.UpstreamNonsense("nuget.org", "no JSON"),
        errors.StorageUnavailable("disk full"),
        RuntimeError("bug"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("file", ["index.json", "base.json"])
async def test_vulnerability_data_never_fails_with_5xx(error, file):
    """
    A 5xx there delays every restore by six seconds; a 404 is reported to the user immediately.
    """
    feed = FakeFeed()
    feed.error = error
    async with serving(feed) as client, client.get(f"/v3/vulnerabilities/{file}") as answer:
        assert answer.status == 404


async def test_a_full_disk_costs_one_line_of_the_log(capsys):
    """
    Otherwise each request would add a traceback to a disk that is already full.
    """
    feed = FakeFeed()
    feed.error = errors.StorageUnavailable("disk full")
    async with serving(feed) as client, client.get(VERSIONS) as answer:
        await answer.read()
    logged = re.sub("\x1b[^m]*m", "", capsys.readouterr().out)

    assert "cannot_answer" in logged
    assert "why='disk full'" in logged
    assert "Traceback" not in logged


async def test_an_unforeseen_failure_is_500_without_details(capsys):
    """
    The message of an unexpected exception may be a secret: it goes to the log, with its traceback and the request's id.
    """
    feed = FakeFeed()
    feed.error = RuntimeError("/secret/path")
    async with serving(feed) as client, client.get(VERSIONS, headers={"X-Request-Id": "id-1"}) as answer:
        text = await answer.text()
    logged = re.sub("\x1b[^m]*m", "", capsys.readouterr().out)

    assert answer.status == 500
    assert "secret" not in text + str(answer.reason)
    assert "RuntimeError: /secret/path" in logged
    assert "request_id=id-1" in logged


async def test_a_sentence_cannot_end_the_status_line():
    """
    Whatever an error quotes, the reason is one line of ASCII.
    """
    feed = FakeFeed()
    feed.error = errors.UpstreamNonsense("nuget.org", "line\r\nSet-Cookie: x=1\x00 Ünïcode " + "x" * 2000)
    async with serving(feed) as client, client.get(VERSIONS) as answer:
        assert "Set-Cookie" not in answer.headers
        assert answer.reason is not None
        assert re.fullmatch(r"[ -~]{1,512}", answer.reason)
        assert answer.reason.startswith("upstream nuget.org sent an invalid answer: line  Set-Cookie: x=1  ?n?code xxx")


@pytest.mark.parametrize("offered", ["build-17.3", "a" * 128, "9f8e/7d:6=5"])
async def test_a_sane_request_id_is_kept(offered):
    """
    So that our log lines and those of a reverse proxy can be correlated.
    """
    async with serving(FakeFeed()) as client, client.get(VERSIONS, headers={"X-Request-Id": offered}) as answer:
        assert offered == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("offered", [None, "", "a b", '"', "a" * 129])
async def test_any_other_request_gets_an_id(offered):
    """
    A client's id is only used when it is harmless; ids are never used twice.
    """
    headers = {} if offered is None else {"X-Request-Id": offered}
    given = set()
    async with serving(FakeFeed()) as client:
        for path in (VERSIONS, "/none", "/health/live"):
            async with client.get(path, headers=headers) as answer:
                given.add(answer.headers["X-Request-Id"])

    assert len(given) == 3
    assert all(re.fullmatch(r"[0-9a-f-]{5,}", text) for text in given)


async def test_the_access_line_tells_the_whole_request(monkeypatch):
    """
    One line: who asked what, and how it was answered.
    """
    async with serving(FakeFeed()) as client:
        lines = lines_of(client, monkeypatch)
        headers = {"User-Agent": "NuGet/7.9.0", "X-Request-Id": "id-1", "Authorization": "Basic c2VjcmV0"}
        async with client.get(VERSIONS, headers=headers) as answer:
            body = await answer.read()

    (line,) = lines
    assert ("id-1", "127.0.0.1", "GET", VERSIONS, 200, len(body), "versions", "hit", "NuGet/7.9.0") == (
        line.request_id,
        line.remote,
        line.method,
        line.path,
        line.status,
        line.bytes,
        line.resource,
        line.outcome,
        line.user_agent,
    )
    assert 0 < line.seconds < 5
    assert "c2VjcmV0" not in str(line)


@pytest.mark.parametrize(
    ("path", "resource", "outcome"),
    [
        ("/v3/index.json", "service_index", "own"),
        (NUPKG, "nupkg", "absent"),
        ("/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.nuspec", "nuspec", "absent"),
        ("/v3/flatcontainer/contoso.utils/1.0.0/icon", "icon", "absent"),
        ("/v3/registration/contoso.utils/index.json", "registration_index", "hit"),
        ("/v3/registration/contoso.utils/page/1.0.0/1.0.0.json", "registration_page", "hit"),
        ("/v3/registration/contoso.utils/1.0.0.json", "registration_leaf", "hit"),
        ("/v3/catalog/contoso.utils/1.0.0.json", "catalog_entry", "hit"),
        ("/v3/query", "search", "hit"),
        ("/v3/autocomplete", "autocomplete", "hit"),
        ("/v3/vulnerabilities/index.json", "vulnerabilities", "hit"),
        ("/v3/repository-signatures/5.0.0/index.json", "signatures", "absent"),
        (f"/v3/repository-signatures/certificates/{'ab' * 32}.crt", "certificate", "hit"),
        ("/health/live", "health", "own"),
        ("/metrics", "metrics", "own"),
        ("/none", "unknown", "refused"),
        ("/v3/flatcontainer/.../index.json", "versions", "refused"),
    ],
)
async def test_resources_and_outcomes_have_their_names(path, resource, outcome, monkeypatch):
    """
    The labels of the counters and of the log.
    """
    before = REGISTRY.get_sample_value
    async with serving(FakeFeed()) as client:
        lines = lines_of(client, monkeypatch)
        async with client.get(path) as answer:
            await answer.read()
    (line,) = lines
    labels = {"resource": resource, "outcome": outcome, "status": str(answer.status)}

    assert (resource, outcome) == (line.resource, line.outcome)
    assert before("nugetproxy_requests_total", labels)


async def test_requests_are_counted_once(monkeypatch):
    """
    One request, one count, one duration, its body's bytes.
    """
    labels = {"resource": "versions", "outcome": "hit", "status": "200"}

    def counted() -> tuple[float, float, float]:
        return (
            REGISTRY.get_sample_value("nugetproxy_requests_total", labels) or 0,
            REGISTRY.get_sample_value("nugetproxy_request_duration_seconds_count", {"resource": "versions"}) or 0,
            REGISTRY.get_sample_value("nugetproxy_response_bytes_total", {"resource": "versions"}) or 0,
        )

    async with serving(FakeFeed()) as client:
        before = counted()
        async with client.get(VERSIONS) as answer:
            length = len(await answer.read())
        async with client.head(VERSIONS) as answer:
            await answer.read()

    assert (2, 2, length) == tuple(now - then for now, then in zip(counted(), before, strict=True))


async def test_a_cut_answer_is_a_failure_in_the_log(monkeypatch):
    """
    Its status was sent long before; the outcome and the bytes show the failure.
    """
    feed = FakeFeed()
    feed.contents[Part.NUPKG] = Growing([b"x" * 1000], size=2000, error=errors.UpstreamTimeout("nuget.org", "silent"))
    async with serving(feed) as client:
        lines = lines_of(client, monkeypatch)
        async with client.get(NUPKG) as answer:
            with pytest.raises(Exception, match="payload"):
                await answer.read()

    assert [(line.status, line.bytes, line.resource, line.outcome) for line in lines] == [
        (200, 1000, "nupkg", "failed")
    ]


@pytest.mark.parametrize(("is_stopping", "told"), [(True, True), (False, False)])
async def test_the_last_answer_of_a_connection_says_so(is_stopping, told, monkeypatch):
    """
    While we stop, responses close their connections: a client that knows sends no request into the closing one.
    """
    feed, asked, may_answer = FakeFeed(), asyncio.Event(), asyncio.Event()
    versions = feed.versions

    async def slow_versions(*arguments, **named):
        asked.set()
        await may_answer.wait()
        return await versions(*arguments, **named)

    monkeypatch.setattr(feed, "versions", slow_versions)
    async with serving(feed) as client:
        asking = asyncio.create_task(
            raw(client, f"GET {VERSIONS} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), enough=b'"versions"')
        )
        await asked.wait()
        if is_stopping:
            for handler in client.server.handler.connections:
                handler.close()
        may_answer.set()
        answer = await asking

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (b"\r\nConnection: close\r\n" in answer) == told
