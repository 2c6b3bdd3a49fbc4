"""An upstream's documents may name any address; requests go only to the hosts that its service index and the settings
name.

Each test has a second server, on another port, that would answer every request.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import stock
from tests.flows.mirror import running
from tests.hostile.upstream_documents import REGISTRATIONS, outlying, put, rewrite

INDEX = f"{REGISTRATIONS}/contoso.utils/index.json"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "nuget.example.com"}
BEHIND_A_FRONT: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.1"]}}
SECRET = {"secret": "of another server"}


@pytest.fixture
async def stocked(upstream: FakeUpstream) -> FakeUpstream:
    stock(upstream)
    return upstream


@pytest.fixture
async def elsewhere(stocked: FakeUpstream) -> AsyncIterator[FakeUpstream]:
    """Another server, with the same packages and a secret at `/secret`."""
    async with FakeUpstream() as other:
        stock(other)
        put(other, "/secret", SECRET)
        yield other


async def test_a_catalog_entry_elsewhere_is_not_fetched(stocked, elsewhere, tmp_path):
    def name_the_secret(index: Any) -> None:
        for leaf in index["items"][0]["items"]:
            leaf["catalogEntry"]["@id"] = f"{elsewhere.base}/secret"

    rewrite(stocked, INDEX, name_the_secret)
    async with running(tmp_path, stocked) as mirror:
        got = await mirror.get("/v3/catalog/contoso.utils/1.0.0.json")

    assert (got.status, got.json["id"], "secret" in got.json) == (200, "Contoso.Utils", False)
    assert elsewhere.log == []


@pytest.mark.parametrize("other", [SECRET, {"id": "Contoso.Base", "version": "1.0.0"}, {"id": "Contoso.Utils"},
                                   {"id": "Contoso.Utils", "version": "2.0.0"}, []])  # fmt: skip
async def test_a_catalog_entry_about_something_else_is_not_handed_on(stocked, tmp_path, other):
    """
    Any path of the upstream's own host can be named too, including documents that are meant only for its owner.
    """

    def name_the_secret(index: Any) -> None:
        for leaf in index["items"][0]["items"]:
            leaf["catalogEntry"]["@id"] = f"{stocked.base}/secret"

    rewrite(stocked, INDEX, name_the_secret)
    put(stocked, "/secret", {**other, "note": "handed on"} if isinstance(other, dict) else other)
    async with running(tmp_path, stocked) as mirror:
        got = await mirror.get("/v3/catalog/contoso.utils/1.0.0.json")

    assert stocked.requests_for("/secret") > 0
    assert (got.status, got.json["id"], got.json["version"]) == (200, "Contoso.Utils", "1.0.0")
    assert b"handed on" not in got.body
    assert b"of another server" not in got.body


async def test_a_registration_page_elsewhere_is_not_fetched(stocked, elsewhere, tmp_path):
    outlying(stocked, "contoso.utils")
    rewrite(stocked, INDEX, lambda index: index["items"][0].update({"@id": f"{elsewhere.base}{INDEX}"}))
    async with running(tmp_path, stocked) as mirror:
        got = await mirror.get("/v3/registration/contoso.utils/index.json")

    assert (got.status, str(elsewhere.port) in got.reason) == (502, True)
    assert elsewhere.log == []


async def test_a_package_elsewhere_is_not_fetched(stocked, elsewhere, tmp_path):
    """
    A feed without a flat container names each file in its registration. `allowed_hosts` can name the host.
    """
    stocked.gallery.resources = [row for row in stocked.gallery.resources if not row[0].startswith("PackageBase")]
    url = f"{elsewhere.base}/v3-flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"

    def name_the_file(index: Any) -> None:
        index["items"][0]["items"][0]["packageContent"] = url

    rewrite(stocked, INDEX, name_the_file)
    package = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
    async with running(tmp_path / "one", stocked) as mirror:
        got = await mirror.get(package)
    assert (got.status, str(elsewhere.port) in got.reason) == (502, True)
    assert elsewhere.log == []

    allowed = {"allowed_hosts": [f"127.0.0.1:{elsewhere.port}"]}
    async with running(tmp_path / "two", stocked, upstream_settings=allowed) as mirror:
        assert (await mirror.get(package)).status == 200


async def test_advisories_elsewhere_are_not_fetched(stocked, elsewhere, tmp_path):
    pages = [{"@name": "base", "@id": f"{elsewhere.base}/v3-vulnerabilities/2024.01.01/vulnerability.base.json",
              "@updated": "2024-01-01T00:00:00Z"}]  # fmt: skip
    put(stocked, "/v3/vulnerabilities/index.json", pages)
    async with running(tmp_path, stocked) as mirror:
        got = await mirror.get("/v3/vulnerabilities/index.json")

    assert got.status == 404
    assert elsewhere.log == []


async def test_a_certificate_elsewhere_is_not_fetched(stocked, elsewhere, tmp_path):
    signatures = "/v3-index/repository-signatures/5.0.0/index.json"

    def move(document: Any) -> None:
        for certificate in document["signingCertificates"]:
            certificate["contentUrl"] = certificate["contentUrl"].replace(stocked.base, elsewhere.base)

    rewrite(stocked, signatures, move)
    async with running(tmp_path, stocked, **BEHIND_A_FRONT) as mirror:
        ours = await mirror.json("/v3/repository-signatures/5.0.0/index.json", HTTPS)
        url = ours["signingCertificates"][0]["contentUrl"]
        got = await mirror.get(url.removeprefix("https://nuget.example.com"))

    assert got.status == 502
    assert elsewhere.log == []
