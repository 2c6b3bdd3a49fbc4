"""Reading an upstream's catalog: what is read, and what is refused."""

import json

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.protocol.times import TICKS_PER_SECOND, text_of_ticks, ticks_of_text
from nugetproxy.protocol.v3.catalog_reader import (
    MOST_ITEMS,
    Commit,
    StatedFile,
    read_catalog_index,
    read_catalog_page,
    read_stated_file,
)

URL = "https://upstream.test/v3/catalog0/page0.json"
TIME = "2026-11-20T05:27:29.2163256Z"


def a_page(*items: dict[str, object], **head: object) -> bytes:
    return json.dumps({"items": items, **head}).encode()


def an_item(**changed: object) -> dict[str, object]:
    given = {"@id": URL, "@type": "nuget:PackageDetails", "commitId": "a", "commitTimeStamp": TIME,
             "nuget:id": "Contoso.Base", "nuget:version": "1.0.0"}  # fmt: skip
    return {name: value for name, value in (given | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("1970-01-01T00:00:01Z", TICKS_PER_SECOND),
        ("1970-01-01T00:00:01.0000001Z", TICKS_PER_SECOND + 1),
        ("1970-01-01T00:00:01.5Z", 15_000_000),
        ("1970-01-01T02:00:01+02:00", TICKS_PER_SECOND),
        ("1969-12-31T19:00:01-05:00", TICKS_PER_SECOND),
        ("1970-01-01T00:00:01", TICKS_PER_SECOND),
        ("1970-01-01T00:00:01.00000001Z", None),
        ("1970-02-30T00:00:01Z", None),
        ("1970-01-01", None),
        ("0000-01-01T00:00:01Z", None),
        ("", None),
    ],
)
def test_times_have_seven_digits(text, ticks):
    assert ticks == ticks_of_text(text)


def test_times_are_read_as_they_are_written():
    assert TIME == text_of_ticks(ticks_of_text(TIME) or 0)


def test_an_index_is_sorted_by_time_and_names_each_page_once():
    items: list[dict[str, object]] = [
        {"@id": f"{URL}?{number}", "commitId": str(at), "commitTimeStamp": f"2026-11-20T00:00:0{at}Z"}
        for number, at in ((1, 3), (2, 1), (1, 2))
    ]
    index = read_catalog_index(a_page(*items))

    assert [("2", "1"), ("1", "3")] == [(page.url[-1], page.commit.id) for page in index.pages]
    assert index.newest == index.pages[-1].commit
    assert index.pages[1:] == index.after(index.pages[0].commit.stamp)


def test_an_empty_index_is_one():
    assert Commit(0) == read_catalog_index(a_page(count=0)).newest


def test_a_page_states_what_changed():
    page = read_catalog_page(
        a_page(
            an_item(),
            an_item(**{"@type": ["nuget:PackageDelete"], "nuget:version": "1.0.0-Beta"}),
            an_item(**{"@type": "nuget:Something", "nuget:version": "not a version"}),
            an_item(**{"nuget:id": "../etc/passwd"}),
        )
    )

    assert [False, True, False] == [change.is_delete for change in page.changes]
    packages = [str(change.package) for change in page.changes]
    assert ["Contoso.Base 1.0.0", "Contoso.Base 1.0.0-Beta", "None"] == packages
    assert page.newest == ticks_of_text(TIME)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        a_page(an_item())[:-20],
        a_page(an_item(), count=2),
        json.dumps({"items": ["x"]}).encode(),
        a_page(an_item(commitTimeStamp=None)),
        a_page(an_item(commitTimeStamp=1)),
        a_page(an_item(**{"nuget:id": None})),
        a_page(an_item(**{"nuget:id": 5})),
        a_page(*[{}] * (MOST_ITEMS + 1)),
    ],
)
def test_a_page_that_may_hide_a_change_is_refused(body):
    with pytest.raises(UnreadableDocument):
        read_catalog_page(body)


@pytest.mark.parametrize(
    "item", [an_item(**{"@id": None}), an_item(**{"@id": "page0.json"}), an_item(commitTimeStamp="")]
)
def test_an_index_that_may_hide_a_page_is_refused(item):
    with pytest.raises(UnreadableDocument):
        read_catalog_index(a_page(item))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, StatedFile("aGFzaA==", 5)),
        ({"packageHashAlgorithm": "MD5"}, StatedFile(None, 5)),
        ({"packageSize": True}, StatedFile("aGFzaA==", None)),
        ({"packageHash": 5, "packageSize": "5"}, StatedFile(None, None)),
        ({"version": "2.0.0"}, None),
        ({"id": "Other"}, None),
        ({"id": None}, None),
    ],
)
def test_a_leaf_states_its_file(changed, expected):
    leaf = {"id": "contoso.base", "version": "1.0.0+build", "packageHash": "aGFzaA==", "packageSize": 5,
            "packageHashAlgorithm": "SHA512"} | changed  # fmt: skip
    package = PackageIdentity.parse("Contoso.Base", "1.0.0")
    if expected is None:
        with pytest.raises(UnreadableDocument):
            read_stated_file(json.dumps(leaf).encode(), package)
    else:
        assert expected == read_stated_file(json.dumps(leaf).encode(), package)
