"""How a document is sent: codings, validators, and what its headers say about the cache."""

import gzip

import pytest

from nugetproxy.feeds.base import Part, SmallContent
from nugetproxy.httpcache.outcome import Outcome, Provenance
from tests.fakes.feed import FakeFeed
from tests.web.serving import serving

VERSIONS = "/v3/flatcontainer/contoso.utils/index.json"
GZ_HIVE = "/v3/registration-gz-semver2/contoso.utils/index.json"
PLAIN_HIVE = "/v3/registration/contoso.utils/index.json"


def many_versions() -> FakeFeed:
    return FakeFeed(versions=[f"1.{minor}.0" for minor in range(300)])


@pytest.mark.parametrize(
    ("path", "accept_encoding", "expected"),
    [
        (VERSIONS, None, ""),
        (VERSIONS, "gzip, deflate", "gzip"),
        (VERSIONS, "br", ""),
        (VERSIONS, "gzip;q=0", ""),
        (VERSIONS, "*", "gzip"),
        (GZ_HIVE, None, "gzip"),
        (GZ_HIVE, "gzip, deflate", "gzip"),
        (GZ_HIVE, "identity", ""),
        (GZ_HIVE, "gzip;q=0, *", ""),
        (PLAIN_HIVE, None, ""),
        (PLAIN_HIVE, "gzip", "gzip"),
    ],
)
async def test_codings(path, accept_encoding, expected):
    """
    The gz hives are compressed unless the client refuses it, everything else only on request.
    """
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    async with serving(many_versions()) as client, client.get(path, headers=headers) as answer:
        body = await answer.read()

    assert expected == answer.headers.get("Content-Encoding", "")
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (gzip.decompress(body) if expected else body)[:1] == b"{"


async def test_a_small_document_is_not_compressed():
    """
    Below the size of a packet there is nothing to gain, except where clients expect gzip (the gz hives).
    """
    async with serving(FakeFeed()) as client, client.get(VERSIONS, headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("accept_encoding", ["identity", "gzip"])
async def test_a_known_document_is_304(accept_encoding):
    """
    With the entity tag that came with a representation, the same request gets a 304 without a body.
    """
    headers = {"Accept-Encoding": accept_encoding}
    async with serving(many_versions()) as client:
        async with client.get(VERSIONS, headers=headers) as first:
            etag = first.headers["ETag"]
        async with client.get(VERSIONS, headers={**headers, "If-None-Match": f'"other", {etag}'}) as second:
            assert (304, b"", etag) == (second.status, await second.read(), second.headers["ETag"])
            assert "Content-Length" not in second.headers


async def test_representations_have_tags_of_their_own():
    """
    A strong tag names bytes, and compressed bytes are different ones.
    """
    tags = set()
    async with serving(many_versions()) as client:
        for coding in ("identity", "gzip"):
            async with client.get(VERSIONS, headers={"Accept-Encoding": coding}) as answer:
                tags.add(answer.headers["ETag"])

    assert len(tags) == 2
    assert not any(tag.startswith("W/") for tag in tags)


async def test_the_tag_is_of_the_content():
    """
    The same document has the same tag in another process; a changed one has a different tag.
    """
    tags = []
    for versions in (["1.0.0"], ["1.0.0"], ["1.0.1"]):
        async with serving(FakeFeed(versions=versions)) as client, client.get(VERSIONS) as answer:
            tags.append(answer.headers["ETag"])

    assert tags[0] == tags[1] != tags[2]


async def test_a_failed_precondition_is_412():
    """
    If-Match with a tag that is not ours.
    """
    async with serving(FakeFeed()) as client, client.get(VERSIONS, headers={"If-Match": '"other"'}) as answer:
        assert answer.status == 412


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        (
            Provenance(Outcome.HIT, age=20.9, fresh_for=39.1),
            {"Cache-Status": "nugetproxy; hit; ttl=39", "Age": "20", "Cache-Control": "public, max-age=60"},
        ),
        (
            Provenance(Outcome.MISS, age=0.0, fresh_for=60.0, stored=True),
            {"Cache-Status": "nugetproxy; fwd=uri-miss; ttl=60; stored", "Age": "0"},
        ),
        (
            Provenance(Outcome.REFRESHED, fresh_for=60.0, stored=True),
            {"Cache-Status": "nugetproxy; fwd=stale; ttl=60; stored", "Age": "0"},
        ),
        (
            Provenance(Outcome.STALE, age=90.0, fresh_for=-30.0, detail="upstream-unavailable"),
            {
                "Cache-Status": "nugetproxy; hit; ttl=-30; detail=upstream-unavailable",
                "Age": "90",
                "Cache-Control": "no-cache",
            },
        ),
        (Provenance(Outcome.HIT, detail='x"; y'), {"Cache-Status": "nugetproxy; hit", "Cache-Control": "no-cache"}),
        (Provenance(Outcome.OWN), {"Cache-Status": "nugetproxy; detail=own", "Cache-Control": "no-cache"}),
    ],
    ids=lambda value: value.outcome.value if isinstance(value, Provenance) else "",
)
async def test_headers_tell_where_an_answer_came_from(provenance, expected):
    """
    Cache-Status (RFC 9211), Age, and a Cache-Control that lets no cache keep a response longer than we do.
    """
    feed = FakeFeed()
    feed.provenance = provenance
    async with serving(feed) as client, client.get(VERSIONS) as answer:
        assert expected == {name: answer.headers.get(name) for name in expected}


async def test_own_documents_have_no_age():
    """
    The service index is not cached, so it has no age.
    """
    async with serving(FakeFeed()) as client, client.get("/v3/index.json") as answer:
        assert "Age" not in answer.headers


async def test_every_answer_forbids_sniffing():
    """
    A readme must never be taken for a page, nor an error.
    """
    async with serving(FakeFeed()) as client:
        for path in (VERSIONS, "/", "/none"):
            async with client.get(path) as answer:
                assert (
                    answer.headers["X-Content-Type-Options"],
                    answer.headers["Server"],
                ) == ("nosniff", "nugetproxy")


async def test_untrusted_parts_cannot_act_as_a_page():
    """
    An SVG icon that is opened in a browser runs no scripts.
    """
    feed = FakeFeed()
    feed.contents[Part.ICON] = SmallContent(b"<svg/>", "image/svg+xml", "tag")
    async with serving(feed) as client, client.get("/v3/flatcontainer/contoso.utils/1.0.0/icon") as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_long_document_arrives_whole():
    """
    Bodies longer than a slice are sent in several writes.
    """
    body = bytes(range(256)) * 20_000
    feed = FakeFeed()
    feed.contents[Part.ICON] = SmallContent(body, "image/png", "tag")
    async with serving(feed) as client, client.get("/v3/flatcontainer/contoso.utils/1.0.0/icon") as answer:
        assert body == await answer.read()
