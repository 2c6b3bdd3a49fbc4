"""The spelling of hosts, and the entries of `allowed_hosts`."""

import pytest

from nugetproxy.config.hosts import canonical_host, parse_allowed_host


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("feed.example", "feed.example"),
        ("FEED.Example.", "feed.example"),
        ("a_b-c.example", "a_b-c.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1.", "10.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.0.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0xa9.0376.43518", "169.254.169.254"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::FFFF:10.0.0.1", "::ffff:a00:1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%25eth0", "fe80::1%eth0"),
    ],
)
def test_a_host_has_one_canonical_spelling(spelled, canonical):
    assert canonical_host(spelled) == canonical


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", "feed.example..", "a b", "a%00b", "%31%32%37.0.0.1", "localhost%2e", "a/b", "a@b",
     "bücher.example", "１２７.0.0.1", "127。0。0。1", "a" * 64, ".".join(["a" * 60] * 5), "1.2.3.4.5", "256.0.0.1.",
     "1.2.3.256", "1.2.3.999",
     "08.0.0.1", "4294967296", "1.16777216", "feed.1", "feed.0x1", "1_0.1", "[::1]", "::x", "::1%", "fe80::1%a%b",
     "::ffff:010.0.0.1", "v1.a:"],
)  # fmt: skip
def test_invalid_hosts_are_refused(text):
    with pytest.raises(ValueError, match="its host is neither"):
        canonical_host(text)


@pytest.mark.parametrize(
    ("entry", "meaning"),
    [
        ("cdn.example", ("cdn.example", None)),
        (" CDN.example. ", ("cdn.example", None)),
        ("cdn.example:8443", ("cdn.example", 8443)),
        ("nexus", ("nexus", None)),
        ("10.0.0.2:81", ("10.0.0.2", 81)),
        ("[fd00::1]", ("fd00::1", None)),
        ("[FD00::1]:8443", ("fd00::1", 8443)),
        ("*.blob.example.net", ("*.blob.example.net", None)),
        ("*.Example.NET.:8443", ("*.example.net", 8443)),
    ],
)
def test_an_entry_matches_a_host_or_the_hosts_of_a_domain(entry, meaning):
    assert parse_allowed_host(entry) == meaning


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("*", "whole first label"),
        ("*:443", "whole first label"),
        ("*.com", "at least two labels"),
        ("*.com.", "at least two labels"),
        ("*.", "neither an ASCII name"),
        ("*..net", "neither an ASCII name"),
        ("**.blob.net", "whole first label"),
        ("*.*.blob.net", "whole first label"),
        ("a*.blob.net", "whole first label"),
        ("*a.blob.net", "whole first label"),
        ("a.*.blob.net", "whole first label"),
        ("blob.net.*", "whole first label"),
        ("*.0.0.1", "at least two labels"),
        ("*.10.0.0.1", "at least two labels"),
        ("[*.blob.net]", "neither an ASCII name"),
        ("https://cdn.example", "without a scheme"),
        ("cdn.example/x", "without a scheme"),
        ("me@cdn.example", "without a scheme"),
        ("cdn.example:", "without a scheme"),
        ("cdn.example:0", "without a scheme"),
        ("cdn.example:65536", "without a scheme"),
        ("fd00::1", "without a scheme"),
        ("bücher.example", "xn--"),
        ("", "without a scheme"),
    ],
)
def test_an_entry_that_would_never_match_is_refused(entry, why):
    with pytest.raises(ValueError, match=why):
        parse_allowed_host(entry)
