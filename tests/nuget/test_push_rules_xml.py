"""Nuspecs refused because readers could find different ids or versions in them."""

import pytest

from nugetproxy.errors import InvalidPackage
from nugetproxy.nuget.nuspec import read_nuspec
from nugetproxy.nuget.push_rules_xml import read_written_metadata
from tests.builders import make_nuspec

NAMESPACE = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"
NAMED = "<id>A</id><version>1.0</version>"
XML = f"<package><metadata>{NAMED}<authors>Ä</authors></metadata></package>"


def declared(encoding: str, version: str = "1.0") -> str:
    return f'<?xml version="{version}" encoding="{encoding}"?>{XML}'


UTF7 = declared("utf-7").replace("<id>A</id>", "<id>+AEE-</id>").replace("Ä", "+AMQ-").encode()
FAR_DECLARED = f'<?xml version="1.0"{" " * 5_000} encoding="utf-7"?>{XML}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        XML.encode(),
        XML.encode("utf-8-sig"),
        declared("utf-8").encode(),
        declared("UTF-8").encode("utf-8-sig"),
        XML.encode("utf-16"),
        XML.encode("utf-16-le"),
        XML.encode("utf-16-be"),
        declared("utf-16").encode("utf-16"),
        declared("UTF-16").encode("utf-16-be"),
        b"\xfe\xff" + declared("utf-16").encode("utf-16-be"),
    ],
)
def test_utf8_and_utf16_are_accepted(data):
    assert len(read_written_metadata(data)) == 3


# Refused on push, with the error, and whether a mirrored one is still read.
ENCODINGS = [
    (UTF7, "in UTF-8 but declares the encoding 'utf-7'; save it as UTF-8", True),
    (FAR_DECLARED, "declares the encoding 'utf-7'", False),
    (declared("utf-8").encode("utf-16"), "in UTF-16 but declares the encoding 'utf-8'", True),
    (declared("utf-16").encode(), "in UTF-8 but declares the encoding 'utf-16'", False),
    (declared("iso-8859-1").encode("latin-1"), r"not valid UTF-8 at byte \d+; save it as UTF-8", True),
    (declared("iso-8859-1").encode(), "declares the encoding 'iso-8859-1'", True),
    (declared("windows-1252").encode("utf-8-sig"), "declares the encoding 'windows-1252'", True),
    (declared("shift_jis").replace("Ä", "").encode(), "declares the encoding 'shift_jis'", True),
    (XML.encode("utf-32"), "in UTF-32", False),
    (XML.encode("utf-32-be"), "in UTF-32", False),
    (declared("utf-16").encode("utf-16")[:-1], "not valid UTF-16 at byte", False),
    (declared("utf-8", version="1.1").encode(), "declares XML version '1.1'", True),
    (b"", "not XML", False),
]


@pytest.mark.parametrize(("data", "why", "is_read"), ENCODINGS, ids=[why for _, why, _ in ENCODINGS])
def test_other_encodings_are_refused_on_push(data, why, is_read):
    with pytest.raises(InvalidPackage, match=why):
        read_written_metadata(data)

    if is_read:
        assert str(read_nuspec(data).identity) == "A 1.0.0"


STRUCTURES = [
    (f"<package><metadata>{NAMED}</metadata><metadata/></package>", "has 2 'metadata' elements; only one is allowed"),
    (f"<package><metadata>{NAMED}</metadata><Metadata/></package>", "has 2 'metadata' elements"),
    (f"<package><metadata>{NAMED}<id>B</id></metadata></package>", "has 2 'id' elements"),
    (f"<package><metadata>{NAMED}<ID>B</ID></metadata></package>", "has 2 'id' elements"),
    (f"<package><metadata>{NAMED}<version>2.0</version></metadata></package>", "has 2 'version' elements"),
    (f"<package><metadata>{NAMED}<title/><title/></metadata></package>", "has 2 'title' elements"),
    (
        f'<package xmlns="{NAMESPACE}"><metadata><id xmlns="urn:x">A</id><version>1.0</version></metadata></package>',
        "has the element 'id' in another namespace than its metadata",
    ),
    (
        f'<package xmlns:x="urn:x"><metadata>{NAMED}<x:dependencies/></metadata></package>',
        "has the element 'dependencies' in another namespace",
    ),
    (
        '<n:package xmlns:n="urn:x"><n:metadata><n:id>A</n:id><n:version>1.0</n:version></n:metadata></n:package>',
        "has the element 'id' in another namespace",
    ),
    (
        f'<package><metadata>{NAMED}<dependencies><group xmlns="urn:x"/></dependencies></metadata></package>',
        "has the element 'group' in another namespace",
    ),
    ("<package><metadata><id>A<b/></id><version>1.0</version></metadata></package>", "the id in its nuspec contains"),
    ("<package><metadata><id> A</id><version>1.0</version></metadata></package>", "the id in its nuspec contains"),
    (
        "<package><metadata><id>A</id><version>1.0<b/></version></metadata></package>",
        "the version in its nuspec",
    ),
]


@pytest.mark.parametrize(("xml", "why"), STRUCTURES)
def test_what_has_two_meanings_is_refused_on_push(xml, why):
    with pytest.raises(InvalidPackage, match=why):
        read_written_metadata(xml.encode())

    assert str(read_nuspec(xml.encode()).identity) == "A 1.0.0"


@pytest.mark.parametrize(
    "xml",
    [
        make_nuspec().decode(),
        make_nuspec(namespace="").decode(),
        make_nuspec(namespace="urn:x").decode(),
        f'<package><metadata xmlns="{NAMESPACE}">{NAMED}</metadata></package>',
        f'<package xmlns:xsi="urn:i" xsi:a="b"><metadata>{NAMED}</metadata><files/></package>',
    ],
)
def test_any_one_namespace_is_accepted(xml):
    assert len(read_written_metadata(xml.encode())) >= 2
