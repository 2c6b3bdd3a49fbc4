"""Where redirects and addresses may lead, and which of them get credentials."""

from collections.abc import AsyncIterator

import pytest

from nugetproxy.errors import (
    UpstreamNonsense,
)
from nugetproxy.mirroring.upstream.client import UpstreamClient
from tests.fakes import faults
from tests.fakes.upstream import FakeUpstream
from tests.mirroring.clients import a_client

LIST = "/v3-flatcontainer/a/index.json"


@pytest.fixture
async def client(upstream: FakeUpstream) -> AsyncIterator[UpstreamClient]:
    upstream.add_package("A", "1.0.0")
    async with a_client(upstream) as running:
        yield running


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(upstream, client, code):
    upstream.fault("/moved", faults.redirect(LIST, code))
    answer = await client.fetch(f"{upstream.base}/moved", patience=0)

    assert (b'{"versions":["1.0.0"]}', upstream.base + LIST) == (answer.body, answer.url)


async def test_a_circle_of_redirects_ends(upstream, client):
    upstream.fault("/circle", faults.redirect("/circle"))

    with pytest.raises(UpstreamNonsense, match="a redirect loop"):
        await client.fetch(f"{upstream.base}/circle", patience=5)
    assert upstream.requests_for("/circle") == 6


async def test_a_redirect_to_another_host_is_not_followed(upstream, client):
    async with FakeUpstream() as stranger:
        upstream.fault("/moved", faults.redirect(stranger.url))

        with pytest.raises(UpstreamNonsense, match="not an allowed host"):
            await client.fetch(f"{upstream.base}/moved", patience=5)
        assert stranger.connections == 0


async def test_a_redirect_to_an_allowed_host_carries_no_credentials(upstream, tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    async with FakeUpstream() as other:
        other.add_package("A", "1.0.0")
        upstream.fault("/moved", faults.redirect(other.base + LIST))
        async with a_client(
            upstream, username="me", password_file=str(tmp_path / "password"), allowed_hosts=[f"127.0.0.1:{other.port}"]
        ) as client:
            answer = await client.fetch(f"{upstream.base}/moved", patience=0)

        assert other.base + LIST == answer.url
        assert upstream.log[0].headers["authorization"] == "Basic bWU6czNjcmV0"
        assert "authorization" not in other.log[0].headers


async def test_a_header_credential_goes_home_only(upstream, tmp_path):
    (tmp_path / "key").write_text("k3y")
    async with (
        FakeUpstream() as other,
        a_client(upstream, header_name="X-Api-Key", header_value_file=str(tmp_path / "key")) as client,
    ):
        client.allow(f"{other.base}/query")
        await client.fetch(upstream.url, patience=0)
        await client.fetch(f"{other.base}/query", patience=0)

        assert upstream.log[0].headers["x-api-key"] == "k3y"
        assert "x-api-key" not in other.log[0].headers


async def test_a_url_of_another_host_is_not_requested_until_allowed(upstream, client):
    async with FakeUpstream() as other:
        with pytest.raises(UpstreamNonsense, match="not an allowed host"):
            await client.fetch(other.url, patience=0)
        client.allow(f"{other.base}/query")

        assert (await client.fetch(other.url, patience=0)).status == 200


@pytest.mark.parametrize("url", ["", "/v3/index.json", "ftp://127.0.0.1/x", "http://[::1", "http://127.0.0.1:99999/"])
async def test_what_is_no_url_is_nonsense(client, url):
    with pytest.raises(UpstreamNonsense):
        await client.fetch(url, patience=1)


async def test_a_line_end_in_a_url_smuggles_no_header(upstream, client):
    await client.fetch(f"{upstream.base}/v3/x.json HTTP/1.1\r\nX-Evil: 1\r\n", patience=0)

    assert "x-evil" not in upstream.log[0].headers


async def test_a_redirect_target_is_asked_byte_for_byte(upstream, client):
    """
    Signed links break when a client re-encodes them.
    """
    upstream.fault("/moved", faults.redirect("/v3/x.json?sig=a%2Bb%3D%3d/~"))
    await client.fetch(f"{upstream.base}/moved", patience=0)

    assert upstream.log[-1].query == "sig=a%2Bb%3D%3d/~"
