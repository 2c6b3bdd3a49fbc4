"""Where addresses and names lead."""

from ipaddress import IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.mirroring.upstream.addresses import Place, place_of, place_of_host

PLACES = {
    Place.PUBLIC: ["8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                   "126.255.255.255",
                   "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
                   "198.20.0.0", "223.255.255.255", "2606:4700::1", "2001:4860:4860::8888", "2001:200::1", "2a00::1",
                   "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
    Place.METADATA: ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192",
                     "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
                     "2002:a9fe:a9fe::", "::169.254.169.254", "::ffff:0:169.254.169.254"],
    Place.LOOPBACK: ["127.0.0.1", "127.255.255.255", "::1", "::1%lo", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
                     "2002:7f00:1::1", "::127.0.0.1", "::ffff:0:127.0.0.1"],
    Place.PRIVATE: ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "fc00::1", "fdff::1",
                    "fec0::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1", "2002:c0a8:101::1",
                    "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:ffff::1"],
    Place.SHARED: ["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"],
    Place.LINK_LOCAL: ["169.254.0.1", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"],
    Place.UNSPECIFIED: ["0.0.0.0", "0.255.255.255", "::", "::2", "::ffff:0.0.0.0", "64:ff9b::"],
    Place.MULTICAST: ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1", "::ffff:224.0.0.1"],
    Place.BROADCAST: ["255.255.255.255", "::ffff:255.255.255.255"],
    Place.DOCUMENTATION: ["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1"],
    Place.BENCHMARKING: ["198.18.0.0", "198.19.255.255", "2001:2::1"],
    Place.RESERVED: ["192.0.0.1", "192.88.99.1", "240.0.0.1", "255.255.255.254", "100::1", "2001::1", "2001:0:4136::1",
                     "2001:10::1", "2001:20::1", "4000::1", "5f00::1", "::8.8.8.8", "::ffff:0:8.8.8.8"],
}  # fmt: skip


@pytest.mark.parametrize(("address", "place"), [(text, place) for place, texts in PLACES.items() for text in texts])
def test_the_place_of_an_address(address, place):
    assert place_of(ip_address(address)) is place
    assert place_of_host(address) is place


@pytest.mark.parametrize(
    "host",
    ["localhost", "a.localhost", "nexus", "feed.local", "metadata.google.internal", "router.lan", "nas.home",
     "box.home.arpa", "feed.corp", "localhost.localdomain"],
)  # fmt: skip
def test_names_that_exist_in_private_networks_only(host):
    assert place_of_host(host) is Place.NAME


@pytest.mark.parametrize("host", ["api.nuget.org", "local.example", "corp.example.com", "internal.net", "a.arpa"])
def test_names_that_may_be_public(host):
    assert place_of_host(host) is Place.PUBLIC


@given(st.ip_addresses())
def test_no_place_is_more_generous_than_the_standard_library(address):
    """
    But for 6to4, which depends on what is embedded.
    """
    assert place_of(address) is not Place.PUBLIC or address.is_global or address in IPv6Network("2002::/16")
