"""What is offered to the hot table, for which clients, and that it equals the response of the application."""

import time

import pytest

from nugetproxy.errors import UpstreamUnavailable
from nugetproxy.feeds.base import LocalFile, Part
from nugetproxy.httpcache.conditional import Whole
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.web.hot.answer import HotAnswer
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.compression import Codings
from tests.fakes.feed import HIT, FakeFeed, Growing
from tests.web.serving import serving

VERSIONS = "/v3/flatcontainer/contoso.utils/index.json"
NUPKG = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
GZ_HIVE = "/v3/registration-gz-semver2/contoso.utils/index.json"


class Offers(HotTable):
    """Remembers what it is offered."""

    def __init__(self) -> None:
        super().__init__(10_000_000)
        self.made: dict[str, tuple[str | None, HotAnswer]] = {}

    def offer(self, target: str, host: str | None, answer: HotAnswer, seen: int | None = None) -> None:
        self.made[target] = (host, answer)


async def offers_after(*paths: str, feed: FakeFeed | None = None, settings=None, headers=None) -> Offers:
    table = Offers()
    async with serving(feed or FakeFeed(), settings, hot=table) as client:
        for path in paths:
            async with client.get(path, headers=headers or {}) as answer:
                await answer.read()
    return table


async def test_links_are_offered_by_host():
    """
    A document with links is kept for clients that use the same host name; one without is for all.
    """
    paths = ("/v3/index.json", GZ_HIVE, "/v3/query?q=x", VERSIONS, "/v3/vulnerabilities/base.json")
    offers = await offers_after(*paths, headers={"Host": "a:1"})

    assert dict(zip(paths, ["http://a:1", "http://a:1", "http://a:1", None, None], strict=True)) == {
        target: host for target, (host, _) in offers.made.items()
    }


async def test_with_a_public_url_everything_is_for_everybody():
    """
    The links are then the same whatever host name a client uses.
    """
    offers = await offers_after("/v3/index.json", settings={"server": {"public_url": "https://nuget.example.com"}})

    assert offers.made["/v3/index.json"][0] is None


async def test_links_made_from_forwarding_headers_are_not_offered():
    """
    Those headers are not part of the table's keys.
    """
    settings = {"server": {"trusted_proxies": ["127.0.0.1"]}}
    offers = await offers_after("/v3/index.json", VERSIONS, settings=settings, headers={"X-Forwarded-Host": "b"})

    assert list(offers.made) == [VERSIONS]


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        (HIT, Outcome.HIT),
        (Provenance(Outcome.MISS, fresh_for=60.0, stored=True), Outcome.HIT),
        (Provenance(Outcome.REFRESHED, fresh_for=60.0, stored=True), Outcome.HIT),
        (Provenance(Outcome.STALE, age=90.0, fresh_for=-30.0), None),
        (Provenance(Outcome.STALE, age=90.0, fresh_for=5.0), Outcome.STALE),
        (Provenance(Outcome.HIT, age=60.0, fresh_for=0.0), None),
    ],
    ids=lambda value: str(value),
)
async def test_only_fresh_answers_are_offered(provenance, expected):
    """
    The next client sees a hit; stale responses must be checked again.
    """
    feed = FakeFeed()
    feed.provenance = provenance
    offers = await offers_after(VERSIONS, feed=feed)

    assert [expected] == [answer.provenance.outcome for _, answer in offers.made.values()] or expected is None
    assert (expected is None) == (not offers.made)


async def test_a_hot_document_ends_with_its_freshness():
    """
    The table is never fresher than the cache.
    """
    began = time.monotonic()
    offers = await offers_after(VERSIONS)

    (_, answer) = offers.made[VERSIONS]
    assert began + HIT.fresh_for <= answer.expires <= time.monotonic() + HIT.fresh_for


async def test_answers_that_cannot_be_reused_are_not_offered():
    """
    Errors, and contents that are still arriving.
    """
    feed = FakeFeed()
    feed.contents[Part.NUPKG] = Growing([b"x"], size=1)
    offers = await offers_after("/none", NUPKG, "/health/ready", "/metrics", feed=feed)
    assert offers.made == {}

    offers = await offers_after(VERSIONS, headers={"If-Match": '"other"'})
    assert offers.made == {}

    feed.error = UpstreamUnavailable("nuget.org", "down")
    offers = await offers_after(VERSIONS, feed=feed)
    assert offers.made == {}


async def test_a_304_makes_a_document_hot_too():
    """
    Agents that keep their cache only ask with If-None-Match.
    """
    offers = await offers_after(VERSIONS, headers={"If-None-Match": "*"})

    assert list(offers.made) == [VERSIONS]


@pytest.mark.parametrize(
    "path", [VERSIONS, GZ_HIVE, "/v3/index.json", "/v3/registration/contoso.utils/1.0.0.json", NUPKG]
)
@pytest.mark.parametrize("accept_encoding", [None, "gzip", "identity"])
async def test_a_hot_answer_says_what_the_long_way_says(path, accept_encoding, tmp_path):
    """
    The same headers and bytes, except for the date, the request's id and the age.
    """
    file = tmp_path / "x.nupkg"
    file.write_bytes(b"x" * 3000)
    feed = FakeFeed(versions=[f"1.{minor}.0" for minor in range(120)])
    feed.contents[Part.NUPKG] = LocalFile(file, 3000, 1_700_000_000, "tag")
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    codings = {None: Codings.SILENT, "gzip": Codings.GZIP, "identity": Codings.NO_GZIP}[accept_encoding]
    table = HotTable(10_000_000)
    async with serving(feed, hot=table) as client:
        async with client.get(path, headers={"Host": "a", **headers}) as answer:
            body = await answer.read()
        found = table.find(path.encode(), b"http://a", time.monotonic())
        assert found is not None
        variant = found.variant_for(codings)
        assert variant is not None
        rendered = found.head(variant, Whole(), "Date: today\r\n", found.since)
        hot_body = variant.body if isinstance(variant.body, bytes) else file.read_bytes()

    lines = [line.split(": ", 1) for line in rendered.decode().splitlines()[1:] if line]
    assert _lasting(answer.headers.items()) == _lasting(lines)
    assert body == hot_body


def _lasting(headers):
    return sorted((name.lower(), value) for name, value in headers if name.lower() not in ("date", "x-request-id"))
