"""What a request to deprecate says, and the messages for invalid ones."""

import json
from contextlib import suppress
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidRequest
from nugetproxy.hosting.publish import ListedVerb
from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.deprecation import Deprecation
from nugetproxy.web.v3.deprecation_request import DeprecationRequest, read_deprecation

ONE = NuGetVersion.parse("1.0.0")
URLENCODED, JSON = "application/x-www-form-urlencoded", "application/json"
MULTIPART = "multipart/form-data; boundary=----x"


def read(text: str) -> DeprecationRequest:
    return read_deprecation(parse_qsl(text, keep_blank_values=True), "", b"")


def why_not(text: str = "", content_type: str = "", body: bytes = b"") -> str:
    with pytest.raises(InvalidRequest) as refused:
        read_deprecation(parse_qsl(text, keep_blank_values=True), content_type, body)
    return str(refused.value)


def multipart(*fields: tuple[str, str], ending: str = "--\r\n") -> bytes:
    """As curl -F writes it."""
    parts = "".join(
        f'------x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    )
    return f"{parts}------x{ending}".encode()


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("versions=1.0&isLegacy=true", ("Legacy",)),
        ("VERSIONS[]=1.0&islegacy=TRUE&hasCriticalBugs=false", ("Legacy",)),
        ("versions[0]=1.0.0.0&isOther=true&isLegacy=True", ("Legacy", "Other")),
        ("versions=1.0&isLegacy=true&isLegacy=true", ("Legacy",)),
    ],
)
def test_reasons(text, reasons):
    assert read(text) == DeprecationRequest((ONE,), Deprecation(reasons), ListedVerb.UNCHANGED)


@pytest.mark.parametrize("text", ["versions=1.0", "versions=1.0&isLegacy=false&message=x&alternatePackageId=A"])
def test_no_reason_takes_it_back(text):
    assert read(text).deprecation is None


def test_versions_in_one_field_or_several():
    assert [str(version) for version in read("versions=1.0,2.0&versions=3.0").versions] == ["1.0.0", "2.0.0", "3.0.0"]


def test_an_alternative():
    told = read("versions=1.0&isLegacy=true&message=a%20b&alternatePackageId=A.B&alternatePackageVersion=2.0")

    assert told.deprecation == Deprecation(("Legacy",), "a b", "A.B", "[2.0.0, )")


def test_listing():
    assert read("versions=1.0&listedVerb=unlist").listed_verb is ListedVerb.UNLIST


def test_a_multipart_form():
    body = multipart(("versions", "1.0"), ("isOther", "true"), ("message", "é\r\n--x"))

    assert read_deprecation([], MULTIPART, body) == DeprecationRequest(
        (ONE,), Deprecation(("Other",), "é\r\n--x"), ListedVerb.UNCHANGED
    )


def test_fields_may_come_from_two_places():
    told = read_deprecation([("versions", "1.0")], JSON + "; charset=utf-8", b'{"isLegacy": true, "message": null}')

    assert told.deprecation == Deprecation(("Legacy",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no versions to deprecate"),
        ("versions=,", "no versions to deprecate"),
        ("versions=one", "versions: 'one' is not"),
        ("versions=1.0&isLegacy=yes", "isLegacy is 'yes'; it must be true or false"),
        ("versions=1.0&isLegacy=1", "isLegacy is '1'; it must be true or false"),
        ("versions=1.0&isLegacy=", "isLegacy is ''; it must be true or false"),
        ("versions=1.0&HASCRITICALBUGS=on", "hasCriticalBugs is 'on'; it must be true or false"),
        ("versions=1.0&isLegacy=true&isLegacy=false", "isLegacy is both 'true' and 'false'; give it once"),
        ("versions=1.0&isLegasy=true", "unknown field 'isLegasy'; the fields are versions, isLegacy,"),
        ("versions=1.0&listedVerb=Burn", "listedVerb is 'Burn'; it must be one of Unchanged, Unlist, Relist"),
        ("versions=1.0&isLegacy=true&alternatePackageId=..", "alternatePackageId: '..' is not"),
        (
            "versions=1.0&isLegacy=true&alternatePackageId=A&alternatePackageVersion=y",
            "alternatePackageVersion: 'y' is",
        ),
        ("versions=1.0&isLegacy=true&alternatePackageVersion=1.0", "requires alternatePackageId, which is missing"),
    ],
)
def test_what_is_wrong_is_named(text, why):
    assert why in why_not(text)


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        (JSON, b"{", "the body is not JSON"),
        (JSON, b"[1]", "the body is not a JSON object"),
        (JSON, json.dumps({"versions": ["1.0"], "isLegacy": 1}).encode(), "isLegacy is '1'; it must be true or false"),
        (JSON, json.dumps({"versions": {"a": [1]}}).encode(), "versions: "),
        (URLENCODED, b"versions=\xff", "the body is not UTF-8"),
        ("text/plain", b"versions=1.0", "the body is 'text/plain'; send application/x-www-form-urlencoded, multipart"),
        ("multipart/form-data", b"x", "must name its boundary"),
        (MULTIPART, b"versions=1.0", "not the multipart form that its headers announce"),
        (MULTIPART, multipart(("versions", "1.0"), ending=""), "or it is incomplete"),
        (MULTIPART, multipart(("version", "1.0")), "unknown field 'version'"),
        (MULTIPART, b"------x\r\n\r\n1.0\r\n------x--", "unknown field ''"),
    ],
)
def test_a_body_that_cannot_be_understood(content_type, body, why):
    assert why in why_not("", content_type, body)


@pytest.mark.parametrize("content_type", [URLENCODED, JSON, MULTIPART])
@given(body=st.binary(max_size=200))
def test_any_body_is_read_or_refused(content_type, body):
    for whole in (body, multipart(("versions", "1.0"))[:60] + body + b"\r\n------x--"):
        with suppress(InvalidRequest):
            assert read_deprecation([("versions", "1.0")], content_type, whole).versions


def test_a_part_with_very_many_parameters_is_not_parsed():
    body = b'--x\r\nContent-Disposition: form-data; name="' + b";" * 1_000 + b'"\r\n\r\n1.0.0\r\n--x--'

    with pytest.raises(InvalidRequest, match="longer than 1000 bytes"):
        read_deprecation([], "multipart/form-data; boundary=x", body)
