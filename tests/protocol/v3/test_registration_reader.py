import json

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.v3.registration import read_index, read_page
from tests.protocol.v3.leaves import UP, body, depending_on, index, leaf, page


def only_leaf(**entry):
    return read_index(index(page([leaf("1.0.0", **entry)]))).leaves[0]


def test_nuget_orgs_inlined_index_is_complete(kept):
    registration = read_index(kept("registration-index-system.text.json"))

    assert registration.package_id == "System.Text.Json"
    assert [leaf.version.full for leaf in registration.leaves] == ["6.0.0", "6.0.11", "8.0.0"]


def test_nuget_orgs_paged_index_has_outlying_pages(kept):
    registration = read_index(kept("registration-index-made.paged"))

    assert (registration.is_complete, len(registration.outlying), registration.count) == (False, 2, 128)
    assert registration.package_id == "made.paged"


def test_nuget_orgs_page_is_understood(kept):
    loaded = read_page(kept("registration-page-made.paged"))

    assert [str(leaf.version) for leaf in loaded.leaves or ()] == ["1.0.64", "1.0.65"]


def test_items_null_is_outlying():
    """
    Some servers write null where nuget.org leaves the property out.
    """
    registration = read_index(index({**page([leaf("1.0.0")], loaded=False), "items": None}))

    assert len(registration.outlying) == 1


@pytest.mark.parametrize(
    ("expected", "entry"),
    [
        (True, {}),
        (True, {"listed": True}),
        (True, {"listed": "true"}),
        (True, {"listed": 1}),
        (False, {"listed": False}),
        (False, {"listed": "False"}),
        (False, {"listed": 0}),
        (False, {"published": "1900-01-01T00:00:00+00:00"}),
        (True, {"listed": True, "published": "1900-01-01T00:00:00+00:00"}),
    ],
)
def test_listed(expected, entry):
    assert expected == only_leaf(**entry).listed


@pytest.mark.parametrize(
    ("expected", "wanted"),
    [
        (False, "[1.0.0, )"),
        (False, "[1.0.0-beta, 2.0.0)"),
        (True, "[1.0.0-beta.1, )"),
        (True, "(, 2.0.0-rc.1]"),
        (True, "[1.0.0+meta, )"),
        (True, "1.0.0-alpha.1"),
        (False, "[1.0.0-beta, 2.0.0-rc)"),
        (False, "no-range.at all"),
        (False, ""),
    ],
)
def test_a_semver2_bound_of_a_dependency_makes_the_package_semver2(expected, wanted):
    assert expected == only_leaf(**depending_on(wanted)).is_semver2


@pytest.mark.parametrize(("expected", "version"), [(True, "1.0.0-a.1"), (True, "1.0.0+m"), (False, "1.0.0-a")])
def test_its_own_version_makes_a_package_semver2(expected, version):
    assert expected == read_index(index(page([leaf(version)]))).leaves[0].is_semver2


def test_each_leaf_has_its_own_casing_and_the_id_is_the_newest_ones():
    registration = read_index(index(page([leaf("1.0.0", "contoso.utils"), leaf("2.0.0", "Contoso.Utils")])))

    assert [leaf.package_id for leaf in registration.leaves] == ["contoso.utils", "Contoso.Utils"]
    assert registration.package_id == "Contoso.Utils"


def test_leaves_are_put_in_order():
    registration = read_index(index(page([leaf("2.0.0"), leaf("1.10.0"), leaf("1.9.0")])))

    assert [str(leaf.version) for leaf in registration.leaves] == ["1.9.0", "1.10.0", "2.0.0"]
    assert (str(registration.pages[0].lower), str(registration.pages[0].upper)) == ("1.9.0", "2.0.0")


def test_a_version_that_is_none_is_left_out():
    """
    One such version would break the whole id for clients.
    """
    registration = read_index(index(page([leaf("not a version"), leaf("1.0.0")], lower="", upper=None)))

    assert [str(leaf.version) for leaf in registration.leaves] == ["1.0.0"]


def test_an_inlined_page_needs_neither_bounds_nor_address():
    bare = {"items": [leaf("1.0.0")]}

    assert read_index(body({"items": [bare]})).pages[0].count == 1


def test_an_index_without_pages_has_no_versions():
    assert read_index(b'{"items":[]}').pages == ()


def test_an_index_whose_pages_are_all_outlying_is_named_by_its_address():
    outlying = page([leaf("1.0.0")], loaded=False, lid="%C3%A9t%C3%A9")

    assert read_index(index(outlying, lid="%C3%A9t%C3%A9")).package_id == "été"
    assert read_index(body({"items": [outlying]})).package_id == "été"


def test_fields_nobody_knows_are_kept():
    raw = {**leaf("1.0.0", news={"a": [1]}), "more": True}

    assert raw == read_index(index(page([raw]))).leaves[0].raw


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"items":null}',
        b'{"items":{}}',
        b'{"items":[1]}',
        b'{"items":[{}]}',
        index({"items": {}}),
        index({"items": [1]}),
        index({"items": [{}]}),
        index({"items": [{"catalogEntry": "https://up.example/catalog"}]}),
        index({"items": [{"catalogEntry": {"id": "A"}}]}),
        index({"items": [{"catalogEntry": {"version": "1.0.0"}}]}),
        index({"items": [{"catalogEntry": {"id": "../a", "version": "1.0.0"}}]}),
        index({**page([leaf("1.0.0")], loaded=False), "@id": "page.json"}),
        index({**page([leaf("1.0.0")], loaded=False), "count": "1"}),
        index({**page([leaf("1.0.0")], loaded=False), "count": -1}),
        index({**page([leaf("1.0.0")], loaded=False), "lower": None}),
        index({**page([leaf("1.0.0")], loaded=False), "upper": "x"}),
        body({"items": [{**page([leaf("1.0.0")], loaded=False), "@id": f"{UP}/"}]}),
    ],
)
def test_what_is_no_index_is_unreadable(document):
    with pytest.raises(UnreadableDocument):
        read_index(document)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"items":[]}', body(page([leaf("1.0.0")], loaded=False)), json.dumps("x").encode()],
)
def test_what_is_no_page_is_unreadable(document):
    with pytest.raises(UnreadableDocument):
        read_page(document)
