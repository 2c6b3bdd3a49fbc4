"""The fake upstream is faithful: it sends what nuget.org sends, and its faults are what they claim to be."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.fakes import faults
from tests.fakes.packages import build_package
from tests.fakes.upstream import FakeUpstream


async def raw(
    upstream: FakeUpstream, path: str, *headers: str, method: str = "GET"
) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and every body byte until the server closed; raises the socket's exceptions."""
    reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
    try:
        lines = [f"{method} {path} HTTP/1.1", "Host: fake", "Connection: close", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status, *fields = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in fields), body


async def document(url: str) -> Any:
    async with ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200, url
        return await answer.json(content_type=None)


NUPKG = "/v3-flatcontainer/a/1.0.0/a.1.0.0.nupkg"


async def test_every_document_of_a_package_is_there(upstream):
    package = upstream.add_package("A.B", "1.2.0-Beta", dependencies=[("C", "1.0.0")])
    index = await document(upstream.url)
    base = {r["@type"]: r["@id"] for r in index["resources"]}

    flat = base["PackageBaseAddress/3.0.0"]
    assert await document(f"{flat}a.b/index.json") == {"versions": ["1.2.0-beta"]}
    assert package.nupkg == (await raw(upstream, "/v3-flatcontainer/a.b/1.2.0-beta/a.b.1.2.0-beta.nupkg"))[2]
    assert package.nuspec == (await raw(upstream, "/v3-flatcontainer/a.b/1.2.0-beta/a.b.nuspec"))[2]
    assert (await raw(upstream, "/v3-flatcontainer/a.b/1.2.0-beta/readme"))[2] == b"# A.B 1.2.0-Beta\n"
    assert (await raw(upstream, "/v3-flatcontainer/a.b/1.2.0-beta/icon"))[2].startswith(b"\x89PNG")
    registration = await document(f"{base['RegistrationsBaseUrl/3.6.0']}a.b/index.json")
    leaf = registration["items"][0]["items"][0]
    assert leaf["catalogEntry"]["dependencyGroups"][0]["dependencies"][0]["range"] == "[1.0.0, )"
    assert upstream.nupkg_url(package) == leaf["packageContent"]
    assert len(package.nupkg) == (await document(leaf["catalogEntry"]["@id"]))["packageSize"]
    assert leaf["catalogEntry"]["@id"] == (await document(leaf["@id"]))["catalogEntry"]
    found = await document(f"{base['SearchQueryService']}?q=a.b&prerelease=true&semVerLevel=2.0.0")
    assert [hit["id"] for hit in found["data"]] == ["A.B"]
    assert (await document(f"{base['SearchAutocompleteService']}?q=a&prerelease=true"))["data"] == ["A.B"]
    vulnerabilities = await document(base["VulnerabilityInfo/6.7.0"])
    assert [await document(page["@id"]) for page in vulnerabilities] == [{}, {}]
    signatures = await document(base["RepositorySignatures/5.0.0"])
    certificate = signatures["signingCertificates"][0]["contentUrl"].removeprefix(upstream.base)
    assert upstream.gallery.certificates[0] == (await raw(upstream, certificate))[2]


async def test_a_given_package_is_served_byte_for_byte(upstream):
    nupkg = build_package("A", "1.0.0", padding=100_000)
    upstream.add_package(nupkg)

    assert nupkg == (await raw(upstream, NUPKG))[2]


@pytest.mark.parametrize(
    ("versions", "pages", "inlined"), [(64, 1, True), (65, 2, True), (127, 2, True), (128, 2, False)]
)
async def test_registrations_are_paged_as_on_nuget_org(upstream, versions, pages, inlined):
    for minor in range(versions):
        upstream.add_package("A", f"1.{minor}.0")
    index = await document(f"{upstream.base}/v3/registration5-semver1/a/index.json")

    assert pages == index["count"] == len(index["items"])
    assert [inlined] * pages == ["items" in page for page in index["items"]]
    page = await document(index["items"][-1]["@id"])
    if not inlined:
        assert [f"1.{m}.0" for m in range(64, 128)] == [leaf["catalogEntry"]["version"] for leaf in page["items"]]


async def test_older_hives_hide_semver_2(upstream):
    upstream.add_package("A", "1.0.0-beta.1")

    assert "404" in (await raw(upstream, "/v3/registration5-semver1/a/index.json"))[0]
    assert "200" in (await raw(upstream, "/v3/registration5-gz-semver2/a/index.json"))[0]


async def test_the_gz_hives_send_gzip_to_those_who_did_not_ask(upstream):
    upstream.add_package("A", "1.0.0")
    _, headers, body = await raw(upstream, "/v3/registration5-gz-semver2/a/index.json")

    assert headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["count"] == 1


async def test_an_etag_has_no_quotes_and_answers_304(upstream):
    upstream.add_package("A", "1.0.0")
    etag = (await raw(upstream, NUPKG))[1]["ETag"]

    assert '"' not in etag
    assert "304" in (await raw(upstream, NUPKG, f"If-None-Match: {etag}"))[0]


async def test_a_changed_document_is_modified_later(upstream):
    upstream.add_package("A", "1.0.0")
    modified = (await raw(upstream, "/v3-flatcontainer/a/index.json"))[1]["Last-Modified"]
    assert "304" in (await raw(upstream, "/v3-flatcontainer/a/index.json", f"If-Modified-Since: {modified}"))[0]
    upstream.add_package("A", "2.0.0")

    assert "200" in (await raw(upstream, "/v3-flatcontainer/a/index.json", f"If-Modified-Since: {modified}"))[0]


@pytest.mark.parametrize(
    ("headers", "status", "span"),
    [
        (["Range: bytes=10-"], "206", slice(10, None)),
        (["Range: bytes=10-19"], "206", slice(10, 20)),
        (["Range: bytes=-7"], "206", slice(-7, None)),
        (["Range: bytes=10-", "If-Range: other"], "200", slice(None)),
    ],
)
async def test_ranges(upstream, headers, status, span):
    package = upstream.add_package("A", "1.0.0")
    line, _, body = await raw(upstream, NUPKG, *headers)

    assert (status, package.nupkg[span]) == (line.split()[1], body)


async def test_a_range_past_the_end_is_unsatisfiable(upstream):
    upstream.add_package("A", "1.0.0")

    assert "416" in (await raw(upstream, NUPKG, "Range: bytes=99999999-"))[0]


async def test_faults_are_spent_in_order(upstream):
    upstream.fault("/v3/*", faults.status(503, retry_after=7), times=1)
    upstream.fault("/v3/*", faults.status(429), times=1)
    seen = [(await raw(upstream, "/v3/index.json"))[0].split()[1] for _ in range(3)]

    assert seen == ["503", "429", "200"]
    assert upstream.requests_for("/v3/index.json") == 3


@pytest.mark.parametrize(
    ("fault", "received"),
    [
        (faults.truncated(100), lambda whole: whole[:100]),
        (faults.corrupt(5), lambda whole: whole[:5] + bytes([whole[5] ^ 0xFF]) + whole[6:]),
        (faults.captive_portal(), lambda _: faults.CAPTIVE_PORTAL),
        (faults.gzip_unasked(), lambda whole: gzip.compress(whole, mtime=0)),
        (faults.no_length(), lambda whole: whole),
        (faults.wrong_length(10), lambda whole: whole),
        (faults.no_range(), lambda whole: whole),
        (faults.closed(), lambda _: b""),
    ],
)
async def test_faults_of_the_body(upstream, fault, received):
    package = upstream.add_package("A", "1.0.0", padding=200)
    upstream.fault("*.nupkg", fault)

    assert received(package.nupkg) == (await raw(upstream, NUPKG, "Range: bytes=0-"))[2]


async def test_a_chunked_body_has_no_length(upstream):
    package = upstream.add_package("A", "1.0.0", padding=200)
    upstream.fault("*.nupkg", faults.chunked())
    _, headers, body = await raw(upstream, NUPKG)

    assert "Content-Length" not in headers
    assert b"%x\r\n%b\r\n0\r\n\r\n" % (len(package.nupkg), package.nupkg) == body


@pytest.mark.parametrize("fault", [faults.reset(), faults.reset_midway(100)])
async def test_a_reset_is_a_reset(upstream, fault):
    upstream.add_package("A", "1.0.0")
    upstream.fault("*.nupkg", fault)

    with pytest.raises(ConnectionResetError):
        await raw(upstream, NUPKG)


@pytest.mark.parametrize("fault", [faults.silent(), faults.stalled(10), faults.until(asyncio.Event()), faults.slow(50)])
async def test_who_says_nothing_keeps_the_connection(upstream, fault):
    upstream.add_package("A", "1.0.0")
    upstream.fault("*.nupkg", fault)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await raw(upstream, NUPKG)


async def test_death_breaks_connections_and_refuses_new_ones_until_revived(upstream):
    upstream.fault("/v3/*", faults.silent(), times=1)
    hanging = asyncio.create_task(raw(upstream, "/v3/index.json"))
    while not upstream.log:
        await asyncio.sleep(0)
    await upstream.die()

    with pytest.raises(ConnectionResetError):
        await hanging
    with pytest.raises(ConnectionRefusedError):
        await raw(upstream, "/v3/index.json")
    await upstream.revive()
    assert "200" in (await raw(upstream, "/v3/index.json"))[0]


async def test_headers_are_recorded_in_lower_case(upstream):
    await raw(upstream, "/query?q=x", "X-Odd: 1", method="HEAD")

    assert (
        upstream.log[0].method,
        upstream.log[0].query,
        upstream.recorded("/query")[0].headers["x-odd"],
    ) == ("HEAD", "q=x", "1")
