import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.errors import InvalidPackageId, InvalidVersion
from nugetproxy.nuget.identity import PackageId, PackageIdentity, lower_invariant
from tests.nuget.texts import id_texts


@pytest.mark.parametrize(
    "text",
    ["A", "_", "1", "Newtonsoft.Json", "A-B.C_D", "a_-_b", "Ünïcode.Пакет", "漢字", "a" * 100, "١٢"],
)
def test_ids(text):
    assert text == PackageId.parse(text).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "-",
        ".a",
        "a.",
        "a-",
        "a..b",
        "a.-b",
        "a b",
        " a",
        "a\n",
        "a/b",
        "a\\b",
        "../a",
        "a\x00",
        "$id$",
        "a+b",
        "a%2fb",
        "a:b",
        "a*",
        "a" * 101,
        "😀",
        "𐐀",
        "½",
        "a\u2028",
        "a\ud800",
    ],
)
def test_what_is_not_an_id(text):
    with pytest.raises(InvalidPackageId) as refused:
        PackageId.parse(text)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "lower"),
    [
        ("Newtonsoft.Json", "newtonsoft.json"),
        ("ÄÖÜ", "äöü"),
        ("İ", "İ"),  # two characters in Python's lower case, so it is unchanged
        ("ΑΣ", "ασ"),  # no final sigma: each character on its own
        ("ẞ", "ß"),
    ],
)
def test_lower_is_character_by_character(text, lower):
    assert lower == lower_invariant(text)


def test_ids_are_compared_without_case():
    one, other = PackageId.parse("Newtonsoft.JSON"), PackageId.parse("newtonsoft.json")

    assert one == other
    assert hash(one) == hash(other)
    assert one != PackageId.parse("Newtonsoft-Json")
    assert one != "newtonsoft.json"


def test_names_of_an_identity():
    package = PackageIdentity.parse("Newtonsoft.Json", "13.0.1-Beta2+abc")

    assert str(package) == "Newtonsoft.Json 13.0.1-Beta2"
    assert package.lower_id == "newtonsoft.json"
    assert package.lower_version == "13.0.1-beta2"
    assert package.nupkg_name == "newtonsoft.json.13.0.1-beta2.nupkg"
    assert package.nuspec_name == "newtonsoft.json.nuspec"


def test_identities_are_compared_by_their_lower_forms():
    one, other = PackageIdentity.parse("A.B", "1.0-RC+x"), PackageIdentity.parse("a.b", "01.0.0-rc")

    assert one == other
    assert hash(one) == hash(other)
    assert one != PackageIdentity.parse("a.b", "1.0.0")
    assert one != PackageIdentity.parse("a.c", "1.0-rc")


def test_an_identity_too_long_for_a_file_name_is_refused():
    with pytest.raises(InvalidVersion, match="too long"):
        PackageIdentity.parse("漢" * 80, "1.0.0-" + "a" * 64)


@pytest.mark.parametrize(("id_text", "version_text"), [("a/b", "1.0"), ("a", "../1.0")])
def test_an_identity_needs_both(id_text, version_text):
    with pytest.raises((InvalidPackageId, InvalidVersion)):
        PackageIdentity.parse(id_text, version_text)


@given(id_texts())
def test_lower_is_idempotent_and_an_id_itself(text):
    lower = PackageId.parse(text).lower

    assert len(text) == len(lower)
    assert lower == lower_invariant(lower)
    assert PackageId.parse(lower) == PackageId.parse(text)


@given(st.text(max_size=20))
def test_what_is_an_id_is_safe_as_a_file_name(text):
    try:
        lower = PackageId.parse(text).lower
    except InvalidPackageId:
        return
    assert not set(lower) & set('/\\\0:*?"<>| \t\r\n%')
    assert lower.strip(".")
