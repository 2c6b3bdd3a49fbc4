from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nugetproxy.protocol.v2.atom import write_entry, write_error, write_property
from nugetproxy.protocol.v2.metadata import FUNCTIONS, write_metadata, write_service_document
from nugetproxy.protocol.v2.packages import package_of_leaf
from nugetproxy.protocol.v2.properties import BY_NAME, PROPERTIES
from tests.protocol.v2.leaves import LINKS, hit, leaf, row, rows
from tests.protocol.writing import rows_of_leaves, write_feed

SPACES = {
    "a": "http://www.w3.org/2005/Atom",
    "d": "http://schemas.microsoft.com/ado/2007/08/dataservices",
    "m": "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata",
    "e": "http://schemas.microsoft.com/ado/2006/04/edm",
}


def parsed(body):
    return etree.fromstring(body)


def found(tree, path):
    return tree.xpath(path, namespaces=SPACES)


def property_of(tree, name):
    (element,) = found(tree, f"//m:properties/d:{name}")
    return element.text, element.get(f"{{{SPACES['m']}}}type"), element.get(f"{{{SPACES['m']}}}null")


def test_an_entry_has_what_the_official_parser_looks_for():
    tree = parsed(write_entry(row("My.Pkg", "1.0.0"), LINKS))

    assert tree.tag == f"{{{SPACES['a']}}}entry"
    assert found(tree, "a:id/text()") == ["https://ours.example/nuget/api/v2/Packages(Id='My.Pkg',Version='1.0.0')"]
    assert found(tree, "a:content/@src") == ["https://ours.example/nuget/api/v2/package/my.pkg/1.0.0"]
    assert found(tree, "a:content/@type") == ["application/zip"]
    assert found(tree, "m:properties/d:Version/text()") == ["1.0.0"]
    assert found(tree, "a:title/text()") == ["My.Pkg"]


def test_every_property_appears_once():
    tree = parsed(write_entry(row(), LINKS))

    assert [etree.QName(each).localname for each in found(tree, "m:properties/*")] == [each.name for each in PROPERTIES]


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        (("My.Pkg", None, None), "Id"),
        (("2026-01-02T03:04:05", "Edm.DateTime", None), "Published"),
        (("2026-02-03T04:05:06.789000", "Edm.DateTime", None), "LastUpdated"),
        (("true", "Edm.Boolean", None), "IsLatestVersion"),
        (("false", "Edm.Boolean", None), "IsPrerelease"),
        (("0", "Edm.Int32", None), "DownloadCount"),
        (("0", "Edm.Int64", None), "PackageSize"),
        ((None, None, "true"), "Language"),
        ((None, None, None), "Dependencies"),
        (("one two", None, None), "Tags"),
    ],
)
def test_how_values_are_written(expected, name):
    assert expected == property_of(parsed(write_entry(row(tags=["one", "two"]), LINKS)), name)


def test_unlisted_is_published_in_1900():
    tree = parsed(write_entry(row(listed=False), LINKS))

    assert property_of(tree, "Published")[0] == "1900-01-01T00:00:00"


def test_nothing_is_null_if_old_clients_cannot_read_null():
    bare = leaf(published=None)
    bare.raw.pop("commitTimeStamp")
    tree = parsed(write_entry(rows(bare)[0], LINKS))
    names = [name for name in BY_NAME.values() if not name.is_nullable]

    assert [name.name for name in names if property_of(tree, name.name)[2] is not None] == []
    assert property_of(tree, "Published")[0] == "1970-01-01T00:00:00"
    assert property_of(tree, "LastEdited") == (None, "Edm.DateTime", "true")


def test_counts_fit_into_32_bits():
    popular = hit("My.Pkg", "1.0.0", totalDownloads=5_000_000_000)
    popular.raw["versions"][0]["downloads"] = 3_000_000_000
    (only,) = rows_of_leaves([leaf()], LINKS, level2=True, hit=popular)
    tree = parsed(write_entry(only, LINKS))

    assert property_of(tree, "DownloadCount")[0] == property_of(tree, "VersionDownloadCount")[0] == "2147483647"


def test_characters_invalid_in_xml_are_removed():
    tree = parsed(write_entry(row(description="a\x00b\x0b<c>&\ud800\ufffe\r\nd"), LINKS))

    assert property_of(tree, "Description")[0] == "ab<c>&\r\nd"


def test_a_non_ascii_id_is_encoded_in_urls():
    tree = parsed(write_entry(row("Été.Œuvre"), LINKS))

    assert found(tree, "a:content/@src") == ["https://ours.example/nuget/api/v2/package/%C3%A9t%C3%A9.%C5%93uvre/1.0.0"]
    assert property_of(tree, "Id")[0] == "Été.Œuvre"


def test_a_feed_has_entries_count_and_next_page():
    body = write_feed(
        "Search", rows(leaf(version="1.0.0"), leaf(version="2.0.0")), LINKS, count=7, next_page="https://x?a&b"
    )
    tree = parsed(body)

    assert tree.tag == f"{{{SPACES['a']}}}feed"
    assert found(tree, "a:entry//d:NormalizedVersion/text()") == ["1.0.0", "2.0.0"]
    assert found(tree, "m:count/text()") == ["7"]
    assert found(tree, "a:link[@rel='next']/@href") == ["https://x?a&b"]


def test_an_empty_feed_has_neither():
    tree = parsed(write_feed("FindPackagesById", [], LINKS))

    assert (found(tree, "a:entry"), found(tree, "m:count"), found(tree, "a:link[@rel='next']")) == ([], [], [])


def test_a_feed_of_the_same_entries_has_the_same_bytes():
    """
    It does not contain the current time, so validators and hot answers stay valid.
    """
    assert write_feed("Search", rows(leaf()), LINKS) == write_feed("Search", rows(leaf()), LINKS)


def test_a_single_property_is_a_document():
    tree = parsed(write_property(row("My.Pkg"), BY_NAME["id"]))

    assert (tree.tag, tree.text) == (f"{{{SPACES['d']}}}Id", "My.Pkg")


def test_an_error_has_its_message():
    assert found(parsed(write_error("no <such> thing")), "m:message/text()") == ["no <such> thing"]


@given(st.text(), st.text(), st.lists(st.text()), st.text())
def test_any_text_of_authors_gives_valid_xml(title, description, tags, url):
    facts = {"title": title, "description": description, "tags": tags, "projectUrl": url, "iconUrl": url}
    shown = rows(leaf(**facts))

    parsed(write_feed("Search", shown, LINKS))
    parsed(write_entry(shown[0], LINKS))


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_date_is_written(moment: datetime):
    tree = parsed(write_entry(row(published=moment.isoformat()), LINKS))

    assert datetime.fromisoformat(property_of(tree, "Published")[0] or "") == moment.replace(tzinfo=None)


def test_the_metadata_lists_functions_and_properties():
    tree = parsed(write_metadata())

    assert found(tree, "//e:FunctionImport/@Name") == list(FUNCTIONS)
    assert found(tree, "//e:EntityType/e:Property/@Name") == [each.name for each in PROPERTIES]
    assert found(tree, "//e:EntityType/e:Property[@Name='IsAbsoluteLatestVersion']/@Nullable") == ["false"]


def test_the_service_document_lists_packages():
    tree = parsed(write_service_document(LINKS))

    assert tree.get("{http://www.w3.org/XML/1998/namespace}base") == "https://ours.example/nuget/api/v2"
    assert [each.get("href") for each in tree.iter("{http://www.w3.org/2007/app}collection")] == ["Packages"]


def test_a_package_and_its_leaf_agree():
    assert package_of_leaf(leaf("My.Pkg", "1.0.0"), LINKS).id.text == "My.Pkg"
