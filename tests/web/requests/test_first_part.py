"""The first part of a form, split wherever the network splits it."""

import pytest

from nugetproxy.errors import InvalidRequest
from nugetproxy.web.requests.first_part import LONGEST_HEAD, FirstPart, boundary_of

OFFICIAL = (
    'multipart/form-data; boundary="3b19bce4-95e6"',
    (
        b"--3b19bce4-95e6\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; "
        b"filename=package.nupkg; filename*=utf-8''package.nupkg\r\n\r\n%s\r\n--3b19bce4-95e6--\r\n"
    ),
)
OLD = (
    "multipart/form-data; boundary=---------------------------8df485",
    (
        b'-----------------------------8df485\r\nContent-Disposition: form-data; name="package"; filename="package"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%s\r\n-----------------------------8df485--"
    ),
)
OLD_ON_MONO = (OLD[0], OLD[1].replace(b"%s\r\n", b"%s\n"))
TWO_PARTS = (
    "multipart/form-data; boundary=x",
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n--x\r\n\r\nanother part\r\n--x--\r\n',
)
PREAMBLE = ("multipart/form-data; boundary=x", b"not a part\r\n--x\r\n\r\n%s\r\n--x--\r\n")
SHAPES = [
    pytest.param(*shape, id=name)
    for name, shape in {
        "official": OFFICIAL,
        "2.8.7": OLD,
        "2.8.7 on Mono": OLD_ON_MONO,
        "two parts": TWO_PARTS,
        "preamble": PREAMBLE,
    }.items()
]
CONTENTS = (
    b"PK\5\6 and so on",
    b"",
    b"\r\n",
    b"\r\n\r\nends with line ends\r\n\r\n",
    b"\0" * 1000,
)


def read(content_type: str, body: bytes, size: int = 64) -> tuple[bytes, bool]:
    """The content, and whether its end was seen; the body arrives in pieces of `size` bytes."""
    part = FirstPart(boundary_of(content_type))
    content = b"".join(part.feed(body[start : start + size]) for start in range(0, len(body), size))
    return content, part.is_complete


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(("content_type", "form"), SHAPES)
def test_every_clients_form_in_pieces_of_any_size(content_type, form, content, size):
    assert read(content_type, form % content, size) == (content, True)


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_what_only_looks_like_a_delimiter(size):
    content = b"PK--3b19bce4-95e6 but not at a line's start\r\n--3b19bce4-95e5"

    assert read(OFFICIAL[0], OFFICIAL[1] % content, size) == (content, True)


@pytest.mark.parametrize("lost", range(1, 25))
@pytest.mark.parametrize(("content_type", "form"), [OLD, OLD_ON_MONO], ids=["2.8.7", "2.8.7 on Mono"])
def test_a_form_that_ends_early(content_type, form, lost):
    """
    A truncated package is not taken for a shorter one.
    """
    _, is_complete = read(content_type, (form % b"PK")[: -2 - lost])

    assert not is_complete


@pytest.mark.parametrize("headers", [b"A: b\r\n" * LONGEST_HEAD, b"A: " + b"b" * 2 * LONGEST_HEAD])
def test_headers_without_end(headers):
    with pytest.raises(InvalidRequest, match="no file begins"):
        read("multipart/form-data; boundary=x", b"--x\r\n" + headers)


@pytest.mark.parametrize("named", ["", "; boundary=", '; boundary=""', f"; boundary={'x' * 201}", "; boundary=\u00e9"])
def test_no_boundary(named):
    with pytest.raises(InvalidRequest, match="must name its boundary"):
        boundary_of(f"multipart/form-data{named}")


def test_holds_no_more_than_it_must():
    """
    Bytes that cannot be the start of a delimiter are returned immediately.
    """
    part = FirstPart(b"x")
    part.feed(b"--x\r\n\r\n")

    assert len(part.feed(b"z" * 1000)) >= 1000 - len(b"\r\n--x")


def test_a_content_type_of_very_many_parameters_is_not_parsed():
    with pytest.raises(InvalidRequest, match="must name its boundary"):
        boundary_of("multipart/form-data; boundary=x" + "; a=b" * 200)
