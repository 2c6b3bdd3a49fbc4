"""The V2 feed over HTTP: entries, levels, filters, failures, transport."""

import gzip

import pytest
from lxml import etree
from yarl import URL

from nugetproxy.errors import PackageNotFound, UpstreamUnavailable, VersionNotFound
from nugetproxy.protocol.v3.search import SearchQuery
from nugetproxy.web.hot.table import HotTable
from tests.web.feeds_read import read, text
from tests.web.serving import serving, status_of

BASE = "/api/v2"


# --- service document and metadata ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/"])
async def test_the_service_document(feed, path):
    async with serving(feed) as client, client.get(BASE + path) as answer:
        body = await answer.read()

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/xml;charset=utf-8")
    assert etree.fromstring(body).tag == "{http://www.w3.org/2007/app}service"


@pytest.mark.parametrize("path", ["/$metadata", "/%24metadata"])
async def test_the_metadata(feed, path):
    async with serving(feed) as client, client.get(URL(BASE + path, encoded=True)) as answer:
        body = await answer.read()

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/xml;charset=utf-8")
    assert answer.headers["DataServiceVersion"] == "2.0;"
    assert b'<FunctionImport Name="GetUpdates"' in body


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "path"),
    [
        ("application/atom+xml;type=feed;charset=utf-8", "/FindPackagesById()?id='alpha.lib'&$format=json"),
        ("application/atom+xml;type=entry;charset=utf-8", "/Packages(Id='alpha.lib',Version='1.0.0')"),
        ("application/xml;charset=utf-8", "/Packages(Id='alpha.lib',Version='1.0.0')/Id"),
        ("text/plain;charset=utf-8", "/FindPackagesById()/$count?id='alpha.lib'"),
    ],
)
async def test_answers_are_never_json(feed, content_type, path):
    async with serving(feed) as client:
        answer = await client.get(URL(BASE + path, encoded=True), headers={"Accept": "application/json"})

    assert (answer.headers["Content-Type"], answer.headers["DataServiceVersion"]) == (content_type, "2.0;")


async def test_a_feed_is_compressed_when_asked(feed):
    path = URL(f"{BASE}/FindPackagesById()?id='alpha.lib'", encoded=True)
    async with serving(feed) as client:
        plain = await (await client.get(path)).read()
        answer = await client.get(path, headers={"Accept-Encoding": "gzip, deflate"})
        packed = await answer.read()

    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == plain


async def test_a_feed_has_validators(feed):
    path = URL(f"{BASE}/FindPackagesById()?id='alpha.lib'", encoded=True)
    async with serving(feed) as client:
        etag = (await client.get(path)).headers["ETag"]
        answer = await client.get(path, headers={"If-None-Match": etag})

    assert answer.status == 304


async def test_a_second_request_is_answered_from_the_hot_table(feed):
    table = HotTable(1024 * 1024)
    async with serving(feed, hot=table) as client:
        await read(client, f"{BASE}/FindPackagesById()?id='alpha.lib'")

        assert len(table) == 1


# --- entries ----------------------------------------------------------------------------------------------------------


async def test_an_entry_shows_semver_2_and_unlisted_versions(feed):
    feed.add("Alpha.Lib", "0.9.0", listed=False)
    async with serving(feed) as client:
        semver2 = await read(client, f"{BASE}/Packages(Id='alpha.lib',Version='2.0.0-RC.1')")
        unlisted = await read(client, f"{BASE}/Packages(Id='alpha.lib',Version='0.9')")

    assert semver2.values("IsAbsoluteLatestVersion") == ["true"]
    assert unlisted.values("Published") == ["1900-01-01T00:00:00"]


async def test_an_entry_has_what_the_catalog_page_tells(feed):
    feed.documents["Alpha.Lib 1.0.0"] = {"packageHash": "aGFzaA==", "packageSize": 55, "verbatimVersion": "1.0"}
    async with serving(feed) as client:
        entry = await read(client, f"{BASE}/Packages(Id='Alpha.Lib',Version='1.0.0')")

    told = [entry.values(name)[0] for name in ("PackageHash", "PackageHashAlgorithm", "PackageSize", "Version")]
    assert told == ["aGFzaA==", "SHA512", "55", "1.0"]


async def test_one_property_of_an_entry(feed):
    async with serving(feed) as client:
        body = await text(client, f"{BASE}/Packages(Id='Alpha.Lib',Version='1.0.0')/isLatestVersion")

    assert etree.fromstring(body.encode()).text == "false"


async def test_metadata_of_a_version_stays_a_plus(feed):
    """
    In a path a plus is a plus, percent-encoded or not.
    """
    feed.add("Meta", "1.0.0+abc")
    async with serving(feed) as client:
        for version in ("1.0.0%2Babc", "1.0.0+abc"):
            found = await read(client, f"{BASE}/Packages(Id='Meta',Version='{version}')")
            assert found.values("Version") == ["1.0.0+abc"]


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "path"),
    [
        (404, "/Packages(Id='Alpha.Lib',Version='9.0.0')"),
        (404, "/Packages(Id='No.Such',Version='1.0.0')"),
        (404, "/Packages(Id='Alpha.Lib',Version='1.0.0')/Nope"),
        (404, "/Packages()/Nope"),
        (404, "/package/no.such"),
        (404, "/package/no.such/1.0.0"),
        (400, "/Packages(Id='Alpha.Lib')"),
        (400, "/Packages(Id='Alpha.Lib',Version='x')"),
        (400, "/Packages(Id='no%20id',Version='1.0')"),
        (400, "/Search(Id='Alpha.Lib',Version='1.0')"),
        (400, "/Search()?$filter=Nope%20eq%20'x'"),
        (400, "/Search()?$orderby=Nope"),
        (400, "/Search()?$top=many"),
        (400, "/Search()/$count?$filter=Id"),
        (400, "/package/alpha.lib/x"),
        (400, "/package/no%20id"),
        (503, "/FindPackagesById()?id='away'"),
        (503, "/package-versions/away"),
        (503, "/package/away"),
        # refused by the router or the middleware
        (404, "/Nope()"),
        (405, "/Nope()/$count"),
        (400, "/Packages%2f"),
        (400, "/Packages%5c"),
    ],
)
async def test_refusals_are_xml(feed, status, path):
    feed.failing["away"] = UpstreamUnavailable("nuget.org", "down")
    async with serving(feed) as client:
        answer, sentence = await refused(client, "GET", path)

    assert answer.status == status
    # Clients print the reason; OData libraries read the message.
    assert answer.reason == sentence
    assert ("Retry-After" in answer.headers) == (status == 503)


async def refused(client, method, path):
    answer = await client.request(method, URL(BASE + path, encoded=True))
    body = etree.fromstring(await answer.read())
    assert (body.tag, answer.headers["Content-Type"]) == (
        "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}error",
        "application/xml;charset=utf-8",
    )
    assert answer.headers["DataServiceVersion"] == "2.0;"
    return answer, "".join(str(each) for each in body.itertext())


async def test_a_wrong_method_is_refused_in_xml(feed):
    async with serving(feed) as client:
        answer, _ = await refused(client, "POST", "/$metadata")

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/v2/package/"),
        ("DELETE", "/api/v2/package/alpha.lib/1.0.0"),
        ("POST", "/api/v2/package/alpha.lib/1.0.0"),
        ("PUT", "/api/v2/Nope()"),
        ("GET", "/api/v2/verifykey/alpha.lib"),
        ("GET", "/api/v20"),
        ("GET", "/v3/nope"),
    ],
)
async def test_requests_that_are_not_odata_are_refused_in_json(feed, method, path):
    async with serving(feed) as client:
        answer = await client.request(method, path)

        assert answer.headers["Content-Type"] == "application/json"
        assert (await answer.json())["error"] == answer.reason


async def test_functions_are_called_by_post_too(feed):
    """
    Their parameters stay in the query.
    """
    path = URL(f"{BASE}/FindPackagesById()?id='alpha.lib'", encoded=True)
    async with serving(feed) as client:
        got = await (await client.get(path)).read()
        answer = await client.post(path, data=b"")

        assert (answer.status, await answer.read()) == (200, got)


async def test_below_a_prefix_refusals_are_xml_too(feed):
    async with serving(feed, {"server": {"public_url": "https://feeds.example/nuget"}}) as client:
        answer = await client.get("/nuget/api/v2/Nope()")

        assert answer.headers["Content-Type"] == "application/xml;charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/FindPackagesById()?id='alpha.lib'",
        "/Packages(Id='Alpha.Lib',Version='1.0.0')",
        "/Packages()?$filter=Id%20eq%20'alpha.lib'%20or%20Id%20eq%20'other'",
        "/GetUpdates()?packageIds='alpha.lib'&versions='1.0.0'",
        "/package/alpha.lib",
        "/package-versions/alpha.lib",
    ],
)
async def test_an_unavailable_upstream_never_gives_an_empty_feed(feed, path):
    """
    Clients would take an empty feed for "does not exist".
    """
    feed.failing["alpha.lib"] = UpstreamUnavailable("nuget.org", "down")
    async with serving(feed) as client:
        assert await status_of(client, URL(BASE + path, encoded=True)) == 503  # type: ignore[arg-type]  # aiohttp's


@pytest.mark.parametrize("error", [PackageNotFound("alpha.lib"), VersionNotFound("alpha.lib", "*")])
async def test_an_id_without_versions_is_empty(feed, error):
    """
    The id never existed, or all of its versions were deleted.
    """
    feed.failing["alpha.lib"] = error
    async with serving(feed) as client:
        found = await read(client, f"{BASE}/FindPackagesById()?id='alpha.lib'")

        assert found.entries == []
        assert await text(client, f"{BASE}/package-versions/alpha.lib") == "[]"


async def test_a_search_survives_an_unavailable_registration(feed):
    """
    The entry then shows the data of the search, and the response is not cached.
    """
    feed.add("Alpha.Other", "3.0.0")
    feed.failing["alpha.lib"] = UpstreamUnavailable("nuget.org", "down")
    async with serving(feed) as client:
        found = await read(client, f"{BASE}/Search()?$filter=IsLatestVersion&searchTerm='alpha'")
        answer = await client.get(URL(f"{BASE}/Search()?$filter=IsLatestVersion&searchTerm='alpha'", encoded=True))

    assert found.entries == ["Alpha.Lib 1.1.0", "Alpha.Other 3.0.0"]
    assert answer.headers["Cache-Control"] == "no-cache"


# --- filters ----------------------------------------------------------------------------------------------------------


async def test_a_filter_that_names_an_id_searches_nothing(feed):
    async with serving(feed) as client:
        await read(client, f"{BASE}/Packages()?$filter=tolower(Id)%20eq%20'alpha.lib'")

    assert feed.asked == [("complete_registration", "alpha.lib")]


async def test_a_filter_that_names_a_word_searches_for_it(feed):
    async with serving(feed) as client:
        await read(client, f"{BASE}/Packages()?$filter=substringof('alpha',tolower(Id))%20and%20IsLatestVersion")

    assert [what.text for method, what in feed.asked if method == "search"] == ["alpha"]


# --- levels and flags -------------------------------------------------------------------------------------------------


async def test_the_registration_says_which_version_is_the_latest(feed):
    """
    A search lags behind: if its version has been unlisted, the entry is that of the actual latest version.
    """
    feed.add("Late", "1.0.0")
    feed.add("Late", "2.0.0")
    hit = feed._hit(feed.packages["late"], SearchQuery("late"))
    feed._hit = lambda leaves, query: hit
    late = feed.packages["late"]
    late[1] = type(late[1])(late[1].version, "Late", listed=False, is_semver2=False, raw=late[1].raw)
    async with serving(feed) as client:
        found = await read(client, f"{BASE}/Search()?$filter=IsLatestVersion&searchTerm='late'&$top=1")

    assert found.entries == ["Late 1.0.0"]


async def test_flags_are_of_the_level_of_the_request(feed):
    async with serving(feed) as client:
        old = await read(client, f"{BASE}/FindPackagesById()?id='alpha.lib'")
        new = await read(client, f"{BASE}/FindPackagesById()?id='alpha.lib'&semVerLevel=2.0.0")

    assert old.values("IsAbsoluteLatestVersion") == ["false", "true"]
    assert new.values("IsAbsoluteLatestVersion") == ["false", "false", "true"]


async def test_updates_keep_to_their_constraints(feed):
    asked = f"{BASE}/GetUpdates()?includePrerelease=true&includeAllVersions=true&semVerLevel=2.0.0"
    async with serving(feed) as client:
        free = await read(client, f"{asked}&packageIds='alpha.lib'&versions='1.0.0'")
        bound = await read(client, f"{asked}&packageIds='alpha.lib'&versions='1.0.0'&versionConstraints='[1.0,2.0-a)'")
        uneven = await read(client, f"{asked}&packageIds='alpha.lib'&versions='1.0.0%7C2.0.0'")
        unknown = await read(client, f"{asked}&packageIds='no.such%7Calpha.lib'&versions='1.0%7C1.1'")

    assert free.entries == ["Alpha.Lib 1.1.0", "Alpha.Lib 2.0.0-rc.1"]
    assert bound.entries == ["Alpha.Lib 1.1.0"]
    assert uneven.entries == []
    assert unknown.entries == ["Alpha.Lib 2.0.0-rc.1"]


async def test_updates_of_too_many_are_refused_not_empty(feed):
    ids, versions = "%7C".join(["a"] * 1001), "%7C".join(["1"] * 1001)
    async with serving(feed) as client:
        path = f"{BASE}/GetUpdates()?packageIds='{ids}'&versions='{versions}'"
        assert await status_of(client, URL(path, encoded=True)) == 400  # type: ignore[arg-type]  # aiohttp's
