"""Every route of the V3 read side: what the feed is asked, and which host the response names."""

import orjson
import pytest

from nugetproxy.feeds.base import Part, SmallContent
from nugetproxy.nuget.identity import PackageIdentity
from tests.fakes.feed import FINGERPRINT, UPSTREAM, FakeFeed
from tests.web.serving import serving, status_of

HTTPS = {"server": {"public_url": "https://nuget.example.com"}}

PATHS = [
    "/v3/index.json",
    "/v3/flatcontainer/contoso.utils/index.json",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.nuspec",
    "/v3/flatcontainer/contoso.utils/1.0.0/readme",
    "/v3/flatcontainer/contoso.utils/1.0.0/icon",
    "/v3/flatcontainer/contoso.utils/1.0.0/license",
    *(
        f"/v3/{hive}/contoso.utils/{file}"
        for hive in ("registration", "registration-gz", "registration-gz-semver2")
        for file in ("index.json", "page/1.0.0/1.2.0-beta.1.json", "1.0.0.json")
    ),
    "/v3/catalog/contoso.utils/1.0.0.json",
    "/v3/query",
    "/v3/query/",
    "/v3/query?q=json&take=5",
    "/v3/autocomplete",
    "/v3/autocomplete/?q=con",
    "/v3/vulnerabilities/index.json",
    "/v3/vulnerabilities/base.json",
    "/v3/repository-signatures/4.7.0/index.json",
    "/v3/repository-signatures/5.0.0/index.json",
    f"/v3/repository-signatures/certificates/{FINGERPRINT}.crt",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/",
]

OTHER_SPELLINGS = [
    "/v3/flatcontainer/Contoso.Utils/Index.JSON",
    "/v3/flatcontainer/CONTOSO.UTILS/1.2.0-BETA.1/Contoso.Utils.1.2.0-Beta.1.NUPKG",
    "/v3/flatcontainer/contoso.utils/1.0/contoso.utils.1.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0/contoso.utils.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0.0/contoso.utils.1.0.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0+build/contoso.utils.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0%2Bbuild/contoso.utils.1.0.0%2Bbuild.nupkg",
    "/v3/flatcontainer/Contoso.Utils/01.0.0/Contoso.Utils.nuspec",
    "/v3/flatcontainer/contoso.utils/1.0.0/README",
    "/v3/registration/Contoso.Utils/INDEX.json",
    "/v3/registration-gz-semver2/Contoso.Utils/1.2.0-BETA.1.JSON",
    "/v3/registration-gz/contoso.utils/page/1.0/1.2.0-BETA.1.json",
    "/v3/catalog/Contoso.Utils/1.0.json",
    f"/v3/repository-signatures/certificates/{FINGERPRINT.upper()}.crt",
]

UNKNOWN = [
    "/v3/flatcontainer/other.package/index.json",
    "/v3/flatcontainer/contoso.utils/9.9.9/contoso.utils.9.9.9.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0/other.package.1.0.0.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.1.nupkg",
    "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg.sha512",
    "/v3/flatcontainer/contoso.utils/1.0.0/other.nuspec",
    "/v3/flatcontainer/contoso.utils/versions.json",
    "/v3/flatcontainer/contoso.utils",
    "/v3/flatcontainer/",
    "/v3/registration/other.package/index.json",
    "/v3/registration/contoso.utils/9.9.9.json",
    "/v3/registration/contoso.utils/page/8.0.0/9.0.0.json",
    "/v3/registration/contoso.utils/index.xml",
    "/v3/registration-gz-semver1/contoso.utils/index.json",
    "/v3/catalog/contoso.utils/9.9.9.json",
    "/v3/catalog/index.json",
    "/v3/vulnerabilities/none.json",
    "/v3/vulnerabilities/.json",
    "/v3/repository-signatures/6.0.0/index.json",
    "/v3/repository-signatures/5.0.0/other.json",
    "/v3/repository-signatures/certificates/xyz.crt",
    f"/v3/repository-signatures/certificates/{'0' * 64}.crt",
    "/v3/index.json/",
    "/v3",
    "/favicon.ico",
]


def a_feed() -> FakeFeed:
    feed = FakeFeed()
    feed.contents = {part: SmallContent(part.value.encode(), "text/plain", part.value) for part in Part}
    return feed


@pytest.mark.parametrize("path", [*PATHS, *OTHER_SPELLINGS])
async def test_a_route_answers(path):
    """
    GET is a 200 with a Content-Length, and HEAD states the same length without sending a body.
    """
    async with serving(a_feed(), HTTPS) as client:
        async with client.get(path) as got:
            body = await got.read()
        async with client.head(path) as head:
            headless = await head.read()

    assert (got.status, head.status) == (200, 200)
    if path != "/metrics":  # counts itself
        assert got.headers["Content-Length"] == head.headers["Content-Length"]
    assert str(len(body)) == got.headers["Content-Length"]
    assert headless == b""


@pytest.mark.parametrize("path", UNKNOWN)
async def test_what_does_not_exist_is_404(path):
    """
    A well-formed path to nothing is a 404 that names what is missing, in the status line and in the body.
    """
    async with serving(a_feed(), HTTPS) as client, client.get(path) as answer:
        assert answer.status == 404
        assert answer.reason != "Not Found"
        assert answer.reason == (await answer.json())["error"]


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/v3/")])
async def test_no_answer_points_at_the_upstream(path):
    """
    Every URL in every document is ours.
    """
    async with serving(a_feed(), HTTPS) as client, client.get(path, headers={"Accept-Encoding": "identity"}) as answer:
        assert UPSTREAM.encode() not in await answer.read()


@pytest.mark.parametrize(
    "spelling", ["1.0.0", "1.0", "1.0.0.0", "01.0.0", "1.0.0+meta"], ids=lambda text: f"version {text}"
)
async def test_the_feed_is_asked_for_the_parsed_identity(spelling):
    """
    However an identity is spelled, the feed gets the same value.
    """
    feed = a_feed()
    async with serving(feed) as client:
        assert await status_of(client, f"/v3/flatcontainer/CONTOSO.Utils/{spelling}/readme") == 200

    assert [("content", (PackageIdentity.parse("contoso.utils", "1.0.0"), Part.README))] == feed.asked


async def test_older_hives_ask_for_all_leaves():
    """
    A hive that omits versions is paged differently, which needs the whole registration; the newest one does not.
    """
    feed = a_feed()
    async with serving(feed) as client:
        for hive in ("registration", "registration-gz", "registration-gz-semver2"):
            await status_of(client, f"/v3/{hive}/contoso.utils/index.json")

    assert [asked for asked, _ in feed.asked] == ["complete_registration", "complete_registration", "registration"]


async def test_a_hive_that_shows_nothing_is_404():
    """
    An id whose versions are all SemVer 2 has no document in the older hives.
    """
    feed = FakeFeed()
    feed.leaves = [leaf for leaf in feed.leaves if not leaf.is_semver2][:0] or [
        type(leaf)(leaf.version, leaf.package_id, leaf.listed, is_semver2=True, raw=leaf.raw) for leaf in feed.leaves
    ]
    async with serving(feed) as client:
        statuses = [
            await status_of(client, f"/v3/{hive}/contoso.utils/{file}")
            for hive in ("registration", "registration-gz-semver2")
            for file in ("index.json", "1.0.0.json", "page/1.0.0/1.0.0.json")
        ]

    assert statuses == [404, 404, 404, 200, 200, 200]


async def test_search_parameters_reach_the_feed():
    """
    The query string is parsed into the query that the feed gets.
    """
    feed = a_feed()
    async with serving(feed) as client:
        await status_of(
            client, "/v3/query?q=a%20b&skip=2&take=7&prerelease=True&semVerLevel=2.0.0&packageType=DotnetTool"
        )

    (_, query) = feed.asked[0]
    assert (
        query.text,
        query.skip,
        query.take,
        query.prerelease,
        query.semver_level2,
        query.package_type,
    ) == ("a b", 2, 7, True, True, "DotnetTool")


async def test_signatures_are_advertised_over_https_only():
    """
    Over plain http a RepositorySignatures entry would break every restore.
    """
    kinds = []
    for settings in ({}, HTTPS):
        async with serving(a_feed(), settings) as client, client.get("/v3/index.json") as answer:
            resources = orjson.loads(await answer.read())["resources"]
            kinds.append([r["@type"] for r in resources if r["@type"].startswith("RepositorySignatures")])

    assert kinds == [[], ["RepositorySignatures/4.7.0", "RepositorySignatures/5.0.0"]]


async def test_signatures_are_not_served_over_http():
    """
    The document would have to contain http URLs, which clients reject; the reason says so.
    """
    async with serving(a_feed()) as client, client.get("/v3/repository-signatures/5.0.0/index.json") as answer:
        assert (answer.status, answer.reason) == (404, "repository signatures are only offered over https")


async def test_optional_resources_follow_what_the_feed_offers():
    """
    Without vulnerability data the resource is omitted, not empty.
    """
    feed = a_feed()
    feed.offers = type(feed.offers)()
    async with serving(feed, HTTPS) as client, client.get("/v3/index.json") as answer:
        text = await answer.text()

    assert "VulnerabilityInfo" not in text
    assert "RepositorySignatures" not in text


async def test_routes_are_there_with_and_without_the_public_path():
    """
    A reverse proxy may strip the path of public_url from the request, or keep it.
    """
    async with serving(a_feed(), {"server": {"public_url": "https://example.com/nuget"}}) as client:
        statuses = [await status_of(client, path) for path in ("/v3/index.json", "/nuget/v3/index.json", "/nuget/")]

    assert statuses == [200, 200, 200]
