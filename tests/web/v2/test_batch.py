"""`$batch`, as NuGet 2 sends queries that are too long for a URL."""

import pytest
from lxml import etree

from nugetproxy.accounts.credentials import mint_key
from nugetproxy.errors import UpstreamUnavailable
from tests.web.catalogue import CatalogueFeed
from tests.web.feeds_read import ReadFeed
from tests.web.serving import serving

# As nuget.exe 2.8.7 sends it.
HEADERS = {
    "DataServiceVersion": "1.0;NetFx",
    "Accept": "application/atom+xml,application/xml",
    "Content-Type": "multipart/mixed; boundary=batch_37d9db44-116f-4144-9ffb-f309e55c2c1c",
}
PART = (
    "--batch_37d9db44-116f-4144-9ffb-f309e55c2c1c\r\nContent-Type: application/http\r\n"
    "Content-Transfer-Encoding: binary\r\n\r\nGET http://feeds.example/api/v2/{} HTTP/1.1\r\n\r\n\r\n"
)
END = "--batch_37d9db44-116f-4144-9ffb-f309e55c2c1c--\r\n"


@pytest.fixture
def feed():
    made = CatalogueFeed()
    made.add("Alpha.Lib", "1.0.0")
    made.add("Alpha.Lib", "1.1.0")
    return made


async def send(client, *addresses, path="/api/v2/$batch", headers=HEADERS):
    async with client.post(path, data="".join(map(PART.format, addresses)) + END, headers=headers) as answer:
        return answer, await answer.read()


def feeds(answer, body):
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    _, *parts, end = body.split(b"--" + boundary)
    assert end == b"--\r\n"
    documents = [part.split(b"\r\n\r\n", 2) for part in parts]
    assert all(head.startswith(b"HTTP/1.1 200 OK\r\n") for _, head, _ in documents)
    return [ReadFeed(200, etree.fromstring(document)) for _, _, document in documents]


@pytest.mark.parametrize("path", ["/api/v2/$batch", "/api/v2/%24batch"])
async def test_updates_of_a_thousand_packages(feed, path):
    ids, versions = "%7C".join(["No.Such.Package.Of.Mine"] * 999), "%7C".join(["1.0"] * 999)
    asked = f"GetUpdates()?packageIds='{ids}%7CAlpha.Lib'&versions='{versions}%7C1.0'&includePrerelease=false"
    async with serving(feed) as client:
        answer, body = await send(client, asked, path=path)

    assert (answer.status, answer.headers["DataServiceVersion"]) == (202, "2.0;")
    assert [each.entries for each in feeds(answer, body)] == [["Alpha.Lib 1.1.0"]]


async def test_what_looks_like_a_key_is_not_searched_for(feed):
    async with serving(feed) as client:
        answer, _ = await send(client, f"Search()?searchTerm='{mint_key().text}'")

    assert answer.status == 400
    assert answer.reason.startswith("this looks like an API key")
    assert feed.asked == []


async def test_each_query_has_its_answer(feed):
    async with serving(feed) as client:
        answer, body = await send(
            client, "FindPackagesById()?id='alpha.lib'&$top=1", "Search()?searchTerm='nobody'&$inlinecount=allpages"
        )

    first, second = feeds(answer, body)
    assert (first.entries, second.entries, second.count) == (["Alpha.Lib 1.0.0"], [], 0)


@pytest.mark.parametrize(
    ("status", "address"),
    [
        (400, "Search()?$filter=Nope%20eq%201"),
        (404, "Nope()"),
        (404, "Packages(Id='Alpha.Lib',Version='1.0')"),
        (404, "package/Alpha.Lib/1.0.0"),
        (503, "FindPackagesById()?id='alpha.lib'"),
    ],
)
async def test_what_refuses_a_query_refuses_the_batch(feed, status, address):
    """
    Clients show only the status line of the whole batch.
    """
    feed.failing["alpha.lib"] = UpstreamUnavailable("nuget.org", "down")
    async with serving(feed) as client:
        answer, body = await send(client, "Search()", address)

    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/xml;charset=utf-8")
    assert "".join(str(each) for each in etree.fromstring(body).itertext()) == answer.reason


async def test_no_batch_is_refused(feed):
    async with serving(feed) as client:
        answer, _ = await send(client, "Search()", headers={"Content-Type": "text/plain"})

    assert answer.status == 400


async def test_a_batch_that_is_too_large_is_refused(feed):
    async with serving(feed, {"server": {"max_body": 10_000}}) as client:
        answer, _ = await send(client, "Search()?searchTerm='" + "a" * 20_000 + "'")

    assert answer.status == 413
