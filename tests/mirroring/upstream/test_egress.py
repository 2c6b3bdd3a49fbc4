"""Who may be asked, with which credentials, through which proxy."""

from typing import Any

import pytest
from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import ConfigError, UpstreamNonsense
from nugetproxy.mirroring.upstream.egress import Egress, read_url

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


INSIDE = [
    "https://localhost/x",
    "https://a.localhost/x",
    "https://127.0.0.1:8443/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f.0.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/x",
    "https://192.168.1.1/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[fe80::1]/x",
    "https://0.0.0.0/x",
]


@pytest.mark.parametrize("url", INSIDE)
def test_a_public_upstream_cannot_send_us_to_an_address_of_our_own(url):
    """
    Its documents would else let it ask our neighbours in our name.
    """
    egress = an_egress()
    egress.allow(url)

    with pytest.raises(UpstreamNonsense):
        egress.checked(read_url(url))


def test_an_upstream_at_an_address_of_our_own_may_name_others():
    egress = an_egress(service_index="http://10.0.0.1/index.json")
    egress.allow("http://10.0.0.2:8081/flat/")

    assert str(egress.checked(URL("http://10.0.0.2:8081/flat/x"))) == "http://10.0.0.2:8081/flat/x"


def test_an_address_of_our_own_is_allowed_when_the_operator_names_it():
    egress = an_egress(allowed_hosts=["10.0.0.2"])

    assert str(egress.checked(URL("https://10.0.0.2/x"))) == "https://10.0.0.2/x"


def test_what_is_no_url_allows_nothing():
    egress = an_egress()
    egress.allow("")
    egress.allow("nonsense")


def test_a_strangers_user_and_password_are_dropped():
    """
    The HTTP client would make an Authorization header of them.
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
    assert proxy == (str(found).rstrip("/") if (found := an_egress(environ).proxy(URL(HOME))) else None)


def test_a_network_may_be_exempt():
    egress = an_egress({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"})

    assert egress.proxy(URL("https://10.1.2.3/x")) is None


def test_the_setting_wins_over_the_environment():
    egress = an_egress({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, proxy="http://q:2")

    assert str(egress.proxy(URL(HOME))).rstrip("/") == "http://q:2"
