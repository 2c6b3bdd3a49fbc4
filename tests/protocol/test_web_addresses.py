import pytest

from nugetproxy.protocol.web_addresses import is_link_field, web_address


@pytest.mark.parametrize(
    "text",
    [
        "http://h",
        "https://example.com/a?b=c#d",
        "HTTP://H/",
        "http://h:0/",
        "http://h:/",
        "http://h:65535/",
        "http://a_b.c-d/",
        "http://a.",
        "http://127.0.0.1/",
        "http://[::1]:8080/x",
        "http://münchen.example/",
        "http://h/a b",
        "http://h/[x]\\%zz",
        "http://h/" + "a" * 3_000,
    ],
)
def test_web_addresses_are_kept(text):
    assert web_address(text) == text
    assert web_address(f" {text}\n") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "javascript:alert(1)",
        " JavaScript:alert(1)//http://h",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://h/x",
        "mailto:a@h",
        "git://h/x",
        "ms-msdt:/id",
        "//h/x",
        "/x",
        "x",
        "C:\\x",
        "http:/h",
        "http:h",
        "http://",
        "http:///x",
        "http://?",
        "http://a b/",
        "http://a\tb/",
        "http://h/\x00",
        "http://h/\x1f",
        "http://a..b/",
        "http://.",
        "http://a%20b/",
        "http://h\\x",
        "http://*.h/",
        "http://h:65536/",
        "http://h:x/",
        "http://[",
        "http://[::1",
        "http://[1::2::3]/",
        "http://" + "é" * 100 + ".example/",
        "http://user:password@h/",
        f"http://{'é' * 60_000}/",  # longer than any name
        "http\u017f://h/",  # a letter that is an s where case is ignored
        "http://h:\u0663/",  # a digit elsewhere
    ],
)
def test_other_texts_are_left_out(text):
    """
    .NET's own parser refuses those with `http:`, except the last: a link must not contain a password.
    """
    assert web_address(text) == ""


def test_links_are_recognised_by_field_name():
    assert all(map(is_link_field, ["projectUrl", "url", "homepageURL", "SourceUri", "URI"]))
    assert not any(map(is_link_field, ["title", "url2", "@id", "", "rl"]))
