"""Which hosts may be asked, with which credentials, through which proxy."""

from ipaddress import ip_address
from typing import Any

import pytest
from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import ConfigError, UpstreamNonsense, UpstreamUnavailable
from nugetproxy.mirroring.upstream.addresses import Place
from nugetproxy.mirroring.upstream.egress import Egress, OutgoingProxy, read_url

HOME = "https://feed.example/v3/index.json"


def an_egress(environ: dict[str, str] | None = None, **settings: Any) -> Egress:
    return Egress(UpstreamSettings(**{"name": "x", "service_index": HOME} | settings), environ or {})


@pytest.mark.parametrize(
    "url",
    [
        "https://feed.example/other",
        "https://FEED.example:443/other",
        "https://cdn.example/x",
        "https://blobs.example:8443/x",
        "https://search.example/query",
    ],
)
def test_allowed(url):
    egress = an_egress(allowed_hosts=["cdn.example", "blobs.example:8443"])
    egress.allow("https://search.example/")

    assert egress.checked(read_url(url)).path == read_url(url).path


@pytest.mark.parametrize(
    "url",
    [
        "http://feed.example/x",
        "https://feed.example:8443/x",
        "https://other.example/x",
        "https://cdn.example:8443/x",
        "https://sub.cdn.example/x",
        "file:///etc/passwd",
        "//feed.example/x",
    ],
)
def test_not_allowed(url):
    with pytest.raises(UpstreamNonsense):
        an_egress(allowed_hosts=["cdn.example"]).checked(read_url(url))


def test_plain_http_is_allowed_only_where_the_service_index_is_http():
    egress = an_egress(service_index="http://feed.example:5000/index.json", allowed_hosts=["cdn.example"])

    for url in ("http://feed.example:5000/x", "http://cdn.example/x", "https://cdn.example/x"):
        assert url == str(egress.checked(URL(url)))


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example./x",
        "https://CDN.Example/x",
        "https://feed.example./x",
        "https://a.blob.example.net/x",
        "https://A.BLOB.example.net./x",
        "https://a.other.net:8443/x",
    ],
)
def test_a_host_is_allowed_however_it_is_spelled(url):
    egress = an_egress(allowed_hosts=["cdn.example.", "*.Blob.example.net.", "*.other.net:8443"])

    assert str(egress.checked(read_url(url))) == url.lower().replace("./", "/")


@pytest.mark.parametrize(
    "url",
    [
        "https://blob.example.net/x",
        "https://.blob.example.net/x",
        "https://a.b.blob.example.net/x",
        "https://ablob.example.net/x",
        "https://a.blob.example.net.evil.example/x",
        "https://a.blob.example.net:8443/x",
        "https://a.other.net/x",
        "http://a.blob.example.net/x",
        "https://*.blob.example.net/x",
    ],
)
def test_a_wildcard_stands_for_one_label(url):
    egress = an_egress(allowed_hosts=["*.blob.example.net", "*.other.net:8443"])

    with pytest.raises(UpstreamNonsense):
        egress.checked(read_url(url))


@pytest.mark.parametrize(
    "url", ["https://[a]@/", "//[a]@/x", "https://[::1]:1@", "https://xn--\0a/", "https://xn--a\x1f/"]
)
def test_an_address_that_no_parser_reads_is_refused_in_one_line(url):
    egress = an_egress()
    egress.allow(url)

    with pytest.raises((UpstreamNonsense, ValueError)) as refused:
        egress.checked(read_url(url))
    assert str(refused.value).isprintable()


INSIDE = [
    "https://localhost/x",
    "https://localhost./x",
    "https://LOCALHOST/x",
    "https://a.localhost/x",
    "https://ｌocalhost/x",
    "https://nexus/x",
    "https://metadata.google.internal/x",
    "https://127.0.0.1:8443/x",
    "https://127.0.0.1./x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://017700000001/x",
    "https://0x7f.0.0.1/x",
    "https://１２７.０.０.１/x",
    "https://127。0。0。1/x",
    "https://①②⑦.0.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/x",
    "https://100.64.0.1/x",
    "https://192.168.1.1/x",
    "https://0.0.0.0/x",
    "https://0/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    "https://[::]/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[::10.0.0.1]/x",
    "https://[64:ff9b::10.0.0.1]/x",
    "https://[64:ff9b:1::808:808]/x",
    "https://[2002:a00:1::1]/x",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/x",
    "https://[fe80::1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fd00::1]/x",
    "https://[ff02::1]/x",
]


@pytest.mark.parametrize("url", INSIDE)
def test_a_public_upstream_cannot_send_us_to_an_address_of_our_own(url):
    """
    Otherwise its documents could make us send requests inside our own network.
    """
    egress = an_egress()
    egress.allow(url)

    with pytest.raises(UpstreamNonsense, match="leads to"):
        egress.checked(read_url(url))


@pytest.mark.parametrize(
    "url",
    ["https://%31%32%37.0.0.1/x", "https://localhost%2e/x", "https://a..example/x", "https://08.0.0.1/x",
     "https://x.1/x", "https://xn--a/x", "https://a b/x"],
)  # fmt: skip
def test_an_invalid_host_is_refused(url):
    egress = an_egress()
    egress.allow(url)

    with pytest.raises(UpstreamNonsense, match="a URL that cannot be used"):
        egress.checked(read_url(url))


@pytest.mark.parametrize("home", ["10.0.0.1", "127.1", "[fd00::1]", "localhost", "nexus", "feed.corp.internal"])
def test_an_upstream_at_an_address_of_our_own_may_name_others(home):
    egress = an_egress(service_index=f"http://{home}/index.json")
    egress.allow("http://10.0.0.2:8081/flat/")

    assert str(egress.checked(URL("http://10.0.0.2:8081/flat/x"))) == "http://10.0.0.2:8081/flat/x"


def test_even_that_one_cannot_name_the_metadata_service_of_a_cloud():
    egress = an_egress(service_index="http://10.0.0.1/index.json")
    egress.allow("http://169.254.169.254/")

    with pytest.raises(UpstreamNonsense, match="metadata"):
        egress.checked(URL("http://169.254.169.254/x"))


@pytest.mark.parametrize("host", ["10.0.0.2", "[fd00::1]", "localhost", "nexus", "169.254.169.254"])
def test_an_address_of_our_own_is_allowed_when_the_operator_names_it(host):
    egress = an_egress(allowed_hosts=[host])

    assert str(egress.checked(URL(f"https://{host}/x"))) == f"https://{host}/x"


PUBLIC_HOME, INSIDE_HOME = HOME, "https://10.0.0.1/index.json"


@pytest.mark.parametrize(
    ("home", "is_named", "address", "refused"),
    [
        (PUBLIC_HOME, False, "8.8.8.8", None),
        (PUBLIC_HOME, False, "10.0.0.9", Place.PRIVATE),
        (PUBLIC_HOME, False, "169.254.169.254", Place.METADATA),
        (PUBLIC_HOME, False, "192.168.7.7", Place.PRIVATE),
        (PUBLIC_HOME, True, "8.8.8.8", None),
        (PUBLIC_HOME, True, "10.0.0.9", None),
        (PUBLIC_HOME, True, "127.0.0.1", None),
        (PUBLIC_HOME, True, "169.254.169.254", Place.METADATA),
        (PUBLIC_HOME, True, "100.100.100.200", None),
        (INSIDE_HOME, False, "10.0.0.9", None),
        (INSIDE_HOME, False, "8.8.8.8", None),
        (INSIDE_HOME, False, "169.254.169.254", Place.METADATA),
        (INSIDE_HOME, False, "100.100.100.200", Place.METADATA),
        (INSIDE_HOME, True, "169.254.169.254", Place.METADATA),
    ],
)
def test_which_addresses_are_refused(home, is_named, address, refused):
    """
    A name is checked when it is resolved; an address in the settings is allowed only for that server.
    """
    egress = an_egress(service_index=home, allowed_hosts=["192.168.7.7", "100.100.100.200"])

    assert egress.refused(ip_address(address), is_named=is_named) is refused


def test_who_is_named():
    egress = an_egress(allowed_hosts=["cdn.example", "*.blob.example.net"])
    egress.allow("https://search.example/")

    urls = [HOME, "https://cdn.example/x", "https://a.blob.example.net/x", "https://search.example/x"]
    assert [egress.is_named(read_url(url)) for url in urls] == [True, True, False, False]


def test_what_is_no_url_allows_nothing():
    egress = an_egress()
    egress.allow("")
    egress.allow("nonsense")


def test_user_and_password_of_another_host_are_dropped():
    """
    The HTTP client would create an Authorization header from them.
    """
    assert str(an_egress().checked(URL("https://u:p@feed.example/x"))) == "https://feed.example/x"


def test_credentials_are_for_the_home_server_only(tmp_path):
    (tmp_path / "p").write_text("pässword\n", encoding="utf-8")
    egress = an_egress(username="me", password_file=str(tmp_path / "p"), allowed_hosts=["cdn.example"])
    egress.read_credentials()

    assert egress.credentials(URL("https://feed.example/x")) == {"Authorization": "Basic bWU6cMOkc3N3b3Jk"}
    for url in ("https://cdn.example/x", "https://feed.example:8443/x", "http://feed.example/x"):
        assert egress.credentials(URL(url)) == {}


def test_a_secret_is_never_in_an_error(tmp_path):
    (tmp_path / "p").write_bytes(b"\xff\xfes3cret")
    with pytest.raises(ConfigError) as caught:
        an_egress(username="me", password_file=str(tmp_path / "p")).read_credentials()

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ({"https_proxy": "p:3128"}, "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, None),
        ({"ALL_PROXY": "http://p:3128"}, "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "feed.example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "localhost, .example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "feed.example:443"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "feed.example:8443"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "eed.example,10.0.0.0/8"}, "http://p:1"),
    ],
)
def test_the_proxy_of_the_environment(environ, proxy):
    assert proxy == url_of(an_egress(environ).proxy(URL(HOME)))


def url_of(proxy: OutgoingProxy | None) -> str | None:
    return str(proxy.url).rstrip("/") if proxy is not None else None


def test_a_network_may_be_exempt():
    egress = an_egress({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"})

    assert egress.proxy(URL("https://10.1.2.3/x")) is None


def test_the_setting_wins_over_the_environment():
    egress = an_egress({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, proxy="http://q:2")

    assert url_of(egress.proxy(URL(HOME))) == "http://q:2"


@pytest.mark.parametrize(
    ("environ", "settings", "shown"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, {}, "the proxy http://p:3128 (from HTTPS_PROXY)"),
        ({"https_proxy": "http://me:s3cret@p:3128/"}, {}, "the proxy http://***@p:3128 (from https_proxy)"),
        ({"ALL_PROXY": "p:3128"}, {}, "the proxy http://p:3128 (from ALL_PROXY)"),
        (
            {},
            {"proxy": "https://s3cret@[fd00::1]:3128"},
            "the proxy https://***@[fd00::1]:3128 (from the setting proxy)",
        ),
    ],
)
def test_a_proxy_is_shown_with_its_source_and_without_its_password(environ, settings, shown):
    assert str(an_egress(environ, **settings).proxy(URL(HOME))) == shown


@pytest.mark.parametrize("text", ["socks5://me:s3cret@p:1080", "http://me:s3cret@p:x", "://", "http://", "p q"])
def test_a_proxy_that_cannot_be_used_is_refused_by_the_name_of_its_variable(text):
    with pytest.raises(UpstreamUnavailable, match="HTTPS_PROXY does not name an outgoing proxy") as caught:
        an_egress({"HTTPS_PROXY": text}).proxy(URL(HOME))

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "url", "allowed"),
    [
        ({}, "https://symbols.nuget.org/x", True),
        ({}, "https://account.blob.core.windows.net/x", True),
        ({}, "https://globalcdn.nuget.org/x", True),
        ({}, "https://a.b.blob.core.windows.net/x", False),
        ({}, "http://account.blob.core.windows.net/x", False),
        ({"symbols": "off"}, "https://symbols.nuget.org/x", False),
        ({"symbols": "off"}, "https://account.blob.core.windows.net/x", False),
        ({"symbols": "https://symbols.example/x"}, "https://symbols.example/y", True),
        ({"symbols": "https://symbols.example/x"}, "https://account.blob.core.windows.net/x", False),
        ({"service_index": HOME}, "https://symbols.nuget.org/x", False),
    ],
)
def test_a_symbol_server_and_where_it_leads(settings, url, allowed):
    egress = Egress(UpstreamSettings(**settings), {})
    if allowed:
        assert egress.checked(read_url(url))
    else:
        with pytest.raises(UpstreamNonsense):
            egress.checked(read_url(url))


@pytest.mark.parametrize(
    ("symbols", "server"),
    [
        ("auto", "https://symbols.nuget.org/download/symbols"),
        ("off", ""),
        ("https://symbols.example/a/", "https://symbols.example/a"),
    ],
)
def test_the_symbol_server_of_nuget_org(symbols, server):
    assert UpstreamSettings(symbols=symbols).symbol_server == server
    assert UpstreamSettings(service_index=HOME, symbols="auto").symbol_server == ""


@pytest.mark.parametrize(
    "symbols",
    ["", "on", "ftp://x", "http://symbols.example/", "https://a:b@x/", "https://x/?a", "https://x/#a", "https://ä/"],
)
def test_a_symbol_server_is_a_url_as_safe_as_the_upstream(symbols):
    with pytest.raises(ValueError, match="symbols"):
        UpstreamSettings(symbols=symbols)
