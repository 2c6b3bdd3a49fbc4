import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.protocol.v2.batch import BatchedQuery, read_batch, write_batch

TYPE = "multipart/mixed; boundary=batch_1"
PART = (
    "--batch_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    "GET http://a:81/nuget/api/v2/{} HTTP/1.1\r\n\r\n\r\n"
)
END = "--batch_1--\r\n"


def body(*addresses, end=END):
    return ("".join(PART.format(address) for address in addresses) + end).encode()


@pytest.mark.parametrize(
    ("expected", "address"),
    [
        (BatchedQuery("Search()", ()), "Search()"),
        (BatchedQuery("Search()", (("searchTerm", "'a b'"), ("$top", "30"))), "Search()?searchTerm='a%20b'&$top=30"),
        (BatchedQuery("Search()", (("x", "ä&"), ("y", ""))), "Search%28%29?x=%C3%A4%26&y="),
        (BatchedQuery("GetUpdates()", (("packageIds", "'A|B'"),)), "GetUpdates()?packageIds='A%7CB'"),
    ],
)
def test_a_query_is_read(expected, address):
    assert read_batch(TYPE, body(address)) == [expected]


def test_queries_keep_their_order():
    assert [each.segment for each in read_batch(TYPE, body("Search()", "Packages()"))] == ["Search()", "Packages()"]


def test_the_boundary_may_be_quoted_and_lines_may_end_in_a_bare_feed():
    read = read_batch('Multipart/Mixed; charset=utf-8; boundary="batch_1"', body("Search()").replace(b"\r\n", b"\n"))

    assert read == [BatchedQuery("Search()", ())]


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("", body("Search()")),
        ("application/json", body("Search()")),
        ("multipart/mixed", body("Search()")),
        ("multipart/mixed; boundary=other", body("Search()")),
        ("multipart/mixed; boundary=\u0130", body("Search()")),
        ("multipart/mixed; boundary=\u212a", body("Search()")),
        (TYPE, b""),
        (TYPE, END.encode()),
        (TYPE, body("Search()", end="")),
        (TYPE, body(*["Search()"] * 9)),
        (TYPE, body("Search()").replace(b"GET ", b"DELETE ")),
        (TYPE, body("Search()").replace(b" HTTP/1.1", b"")),
        (TYPE, body("Search()?a=%ff")),
        (TYPE, body("Search()").replace(b"Search", b"\xff")),
        (TYPE, body("Search()?" + "&".join("a=1" for _ in range(101)))),
        (TYPE, body("Search()").replace(b"http://a:81", b"http://[")),
    ],
)
def test_anything_else_is_refused(content_type, sent):
    with pytest.raises(InvalidRequest):
        read_batch(content_type, sent)


def test_responses_are_parts_of_the_batch():
    assert write_batch([("a/b", b"<x/>")], "r") == (
        b"--r\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nDataServiceVersion: 2.0;\r\n\r\n<x/>\r\n--r--\r\n"
    )
