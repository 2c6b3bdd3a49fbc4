"""Which host the links contain, and which client address the log shows."""

import orjson
import pytest

from nugetproxy.web.requests.base_url import BaseUrls
from nugetproxy.web.requests.keys import ACCESS
from nugetproxy.web.telemetry.access import AccessLine
from tests.fakes.feed import FakeFeed
from tests.web.serving import raw, serving

TRUSTING = {"server": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.1"]}}


async def base_in(answer) -> str:
    resources = orjson.loads(await answer.read())["resources"]
    (address,) = {r["@id"] for r in resources if r["@type"] == "PackageBaseAddress/3.0.0"}
    return str(address).removesuffix("/v3/flatcontainer/")


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "nuget.internal:8550"}, "http://nuget.internal:8550"),
        ({"Host": "[::1]:8550"}, "http://[::1]:8550"),
        ({"Host": "a", "X-Forwarded-Proto": "https"}, "https://a"),
        ({"Host": "a", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b:8443"}, "https://b:8443"),
        ({"Host": "a", "X-Forwarded-Prefix": "/nuget/"}, "http://a/nuget"),
        ({"Host": "a", "X-Forwarded-Port": "8080"}, "http://a:8080"),
        ({"Host": "a", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}, "https://a:8443"),
        ({"Host": "a:8550", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}, "https://a:8443"),
        ({"Host": "a:8550", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}, "https://a"),
        ({"Host": "a:8550", "X-Forwarded-Port": "80"}, "http://a"),
        ({"Host": "[::1]:8550", "X-Forwarded-Port": "8443"}, "http://[::1]:8443"),
        ({"Host": "[::1]", "X-Forwarded-Port": "8443"}, "http://[::1]:8443"),
        ({"Host": "a", "X-Forwarded-Host": "b", "X-Forwarded-Port": "8443"}, "http://b:8443"),
        ({"Host": "a", "X-Forwarded-Host": "b:9443", "X-Forwarded-Port": "443"}, "http://b:9443"),
        ({"Host": "a", "X-Forwarded-Port": "1, 8443", "X-Forwarded-For": "1.2.3.4, 192.0.2.1"}, "http://a:8443"),
        ({"Host": "a", "X-Forwarded-Port": "8443, 8080", "X-Forwarded-For": "192.0.2.1, 10.0.0.1"}, "http://a:8443"),
        ({"Host": "a", "Forwarded": "proto=https;host=b", "X-Forwarded-Port": "8443"}, "https://b"),
        ({"Host": "a", "Forwarded": 'for=192.0.2.1;proto=https;host="b:8443"'}, "https://b:8443"),
        (
            {"Host": "a", "Forwarded": "for=192.0.2.1;proto=http;host=evil, for=192.0.2.2;proto=https;host=b"},
            "https://b",
        ),
        ({"Host": "a", "Forwarded": "for=192.0.2.1;proto=https;host=b, for=10.0.0.1"}, "https://b"),
        ({"Host": "a", "X-Forwarded-Host": "evil, b", "X-Forwarded-For": "1.2.3.4, 192.0.2.1"}, "http://b"),
        ({"Host": "a", "X-Forwarded-Host": "b, c", "X-Forwarded-For": "192.0.2.1, 10.0.0.1"}, "http://b"),
        ({"Host": "a", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1, 10.0.0.1"}, "https://a"),
    ],
    ids=str,
)
async def test_the_base_behind_a_trusted_proxy(headers, base):
    """
    What the outermost trusted proxy says about the request it received; values further left may be forged.
    """
    async with serving(FakeFeed(), TRUSTING) as client, client.get("/v3/index.json", headers=headers) as answer:
        assert base == await base_in(answer)


async def test_forwarding_headers_from_untrusted_clients_are_ignored():
    """
    Otherwise any client could make us write its host into documents that are served to others.
    """
    headers = {"Host": "a", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https", "Forwarded": "host=evil"}
    headers |= {"X-Forwarded-Port": "8443"}
    async with serving(FakeFeed()) as client, client.get("/v3/index.json", headers=headers) as answer:
        assert await base_in(answer) == "http://a"


async def test_the_public_url_decides():
    """
    Whatever the request says.
    """
    settings = {"server": {**TRUSTING["server"], "public_url": "https://nuget.example.com/feed/"}}
    headers = {"Host": "a", "X-Forwarded-Host": "b"}
    async with serving(FakeFeed(), settings) as client, client.get("/v3/index.json", headers=headers) as answer:
        assert await base_in(answer) == "https://nuget.example.com/feed"


@pytest.mark.parametrize(("version", "status"), [("1.0", 200), ("1.1", 400)])
async def test_only_http_1_0_may_omit_the_host(version, status):
    """
    Load balancers check health this way.
    """
    async with serving(FakeFeed()) as client:
        health, index = [
            await raw(client, f"GET {path} HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
            for path in ("/health/live", "/v3/index.json")
        ]
        address = f"http://{client.server.host}:{client.server.port}/v3/flatcontainer/".encode()

    assert [int(answer.split(b" ")[1]) for answer in (health, index)] == [status, status]
    assert (address in index) == (status == 200)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "a b"},
        {"X-Forwarded-Host": "a/b"},
        {"X-Forwarded-Port": "https"},
        {"X-Forwarded-Port": "-1"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Port": "65536"},
        {"X-Forwarded-Port": "9" * 5000},
        {"X-Forwarded-Port": "80/"},
        {"X-Forwarded-Port": "\u0668"},
        {"X-Forwarded-Proto": "ftp"},
        {"X-Forwarded-Prefix": "//evil.test"},
        {"X-Forwarded-Prefix": "/a?b"},
        {"Forwarded": 'host="a b"'},
        {"Forwarded": "nonsense"},
    ],
    ids=str,
)
async def test_a_proxy_that_says_nonsense_is_refused(headers):
    """
    A misconfigured reverse proxy is noticed immediately.
    """
    async with serving(FakeFeed(), TRUSTING) as client, client.get("/v3/index.json", headers=headers) as answer:
        assert answer.status == 400
        assert "forward" in str(answer.reason).lower()


@pytest.mark.parametrize(
    "forged",
    [
        "for=1.2.3.4",
        "host=evil.example",
        "proto=http",
        "for=1.2.3.4;host=evil.example;proto=http",
        "for=1.2.3.4, for=10.0.0.1",
    ],
)
async def test_a_client_cannot_use_the_header_that_its_front_does_not_write(forged):
    """
    It would pass through a proxy such as nginx unchanged, and its address counts where wrong passwords are limited.
    """
    written = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "a", "X-Forwarded-Proto": "https"}
    async with (
        serving(FakeFeed(), TRUSTING) as client,
        client.get("/v3/index.json", headers={"Host": "a", "Forwarded": forged, **written}) as answer,
    ):
        assert answer.status == 400
        assert str(answer.reason).startswith("the Forwarded and X-Forwarded-* headers contradict each other")


@pytest.mark.parametrize(
    ("settings", "headers", "remote"),
    [
        ({}, {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        (TRUSTING, {}, "127.0.0.1"),
        (TRUSTING, {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1"),
        (TRUSTING, {"X-Forwarded-For": "1.1.1.1, 192.0.2.1, 10.0.0.1"}, "192.0.2.1"),
        (TRUSTING, {"Forwarded": 'for="[2001:db8::1]:4711"'}, "2001:db8::1"),
        (TRUSTING, {"Forwarded": "for=192.0.2.1:80"}, "192.0.2.1"),
        (TRUSTING, {"Forwarded": "for=_hidden"}, "_hidden"),
        (
            TRUSTING,
            {"Forwarded": "for=192.0.2.1;host=A:443", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "a"},
            "192.0.2.1",
        ),
        (TRUSTING, {"X-Forwarded-For": 'x"} {"evil": "'}, "127.0.0.1"),
    ],
    ids=str,
)
async def test_the_log_shows_the_clients_address(settings, headers, remote, monkeypatch):
    """
    The address that the outermost trusted proxy saw.
    """
    lines: list[AccessLine] = []
    async with serving(FakeFeed(), settings) as client:
        monkeypatch.setattr(client.app[ACCESS], "record", lines.append)
        async with client.get("/v3/index.json", headers=headers) as answer:
            await answer.read()

    assert [remote] == [line.remote for line in lines]


def test_trusted_proxies_must_be_networks():
    """
    A typo must not become a proxy that is never trusted.
    """
    with pytest.raises(ValueError, match="nginx"):
        BaseUrls("", ["nginx"])
