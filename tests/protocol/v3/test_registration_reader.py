import json

import pytest

from nugetproxy.errors import EmptyDocument, UnreadableDocument
from nugetproxy.protocol.bounds import MOST_VERSIONS
from nugetproxy.protocol.v3.registration_reader import MOST_OUTLYING_PAGES
from tests.protocol.v3.leaves import UP, body, depending_on, index, leaf, page, read_index, read_page


def only_leaf(**entry):
    return read_index(index(page([leaf("1.0.0", **entry)]))).leaves[0]


def test_nuget_orgs_inlined_index_is_complete(kept):
    registration = read_index(kept("registration-index-system.text.json"), "System.Text.Json")

    assert registration.package_id == "System.Text.Json"
    assert [leaf.version.full for leaf in registration.leaves] == ["6.0.0", "6.0.11", "8.0.0"]


def test_nuget_orgs_paged_index_has_outlying_pages(kept):
    registration = read_index(kept("registration-index-made.paged"), "Made.Paged")

    assert (registration.is_complete, len(registration.outlying), registration.count) == (False, 2, 128)
    assert registration.package_id == "made.paged"


def test_nuget_orgs_page_is_understood(kept):
    loaded = read_page(kept("registration-page-made.paged"), "Made.Paged")

    assert [str(leaf.version) for leaf in loaded.leaves or ()] == ["1.0.64", "1.0.65"]


def test_items_null_is_outlying():
    """
    Some servers write null where nuget.org omits the property.
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
def test_a_semver2_bound_in_a_dependency_makes_the_package_semver2(expected, wanted):
    assert expected == only_leaf(**depending_on(wanted)).is_semver2


@pytest.mark.parametrize(("expected", "version"), [(True, "1.0.0-a.1"), (True, "1.0.0+m"), (False, "1.0.0-a")])
def test_its_own_version_makes_a_package_semver2(expected, version):
    assert expected == read_index(index(page([leaf(version)]))).leaves[0].is_semver2


def test_each_leaf_keeps_its_casing_and_the_id_has_the_newest():
    registration = read_index(index(page([leaf("1.0.0", "contoso.utils"), leaf("2.0.0", "Contoso.Utils")])))

    assert [leaf.package_id for leaf in registration.leaves] == ["contoso.utils", "Contoso.Utils"]
    assert registration.package_id == "Contoso.Utils"


def test_leaves_are_sorted():
    registration = read_index(index(page([leaf("2.0.0"), leaf("1.10.0"), leaf("1.9.0")])))

    assert [str(leaf.version) for leaf in registration.leaves] == ["1.9.0", "1.10.0", "2.0.0"]
    assert (str(registration.pages[0].lower), str(registration.pages[0].upper)) == ("1.9.0", "2.0.0")


@pytest.mark.parametrize(
    "broken",
    [
        leaf("not a version"),
        leaf("1.5.0.preview"),
        leaf("2.0.0", "../a"),
        {"catalogEntry": {"id": "Contoso.Utils"}},
        {"catalogEntry": {"version": "2.0.0"}},
        {"catalogEntry": "https://up.example/catalog/2020/contoso.utils.2.0.0.json"},
        {"catalogEntry": None},
        {},
        None,
        "2.0.0",
    ],
)
def test_an_unreadable_version_is_left_out(broken):
    """
    One such version would break the whole id for clients.
    """
    registration = read_index(body({"items": [{"items": [broken, leaf("1.0.0")]}]}))

    assert [str(leaf.version) for leaf in registration.leaves] == ["1.0.0"]
    with pytest.raises(UnreadableDocument, match="it contains no readable version"):
        read_index(body({"items": [{"items": [broken]}]}))


def test_leaves_of_another_id_are_left_out():
    """
    Clients show any leaves they get: a look-alike of a private package would appear in the document of a public one.
    """
    mixed = [leaf("1.0.0"), leaf("2.0.0", "Contoso.Secret"), leaf("3.0.0")]

    for leaves in (read_index(index(page(mixed))).leaves, read_page(body(page(mixed))).leaves or ()):
        assert [str(leaf.version) for leaf in leaves] == ["1.0.0", "3.0.0"]
    assert read_index(index(page(mixed), page([leaf("4.0.0", "Contoso.Secret")]))).count == 2


def test_a_document_of_another_id_is_refused():
    """
    An intermediate cache that confuses its entries must not poison ours.
    """
    others = page([leaf("1.0.0", "Contoso.Secret")])

    with pytest.raises(UnreadableDocument, match=r"it belongs to Contoso\.Secret"):
        read_index(index(others))
    with pytest.raises(UnreadableDocument, match=r"it belongs to Contoso\.Secret"):
        read_page(body(others))


@pytest.mark.parametrize("name", ["Id", "ID", "iD"])
def test_a_second_name_in_other_case_does_not_count(name):
    """
    The official client matches field names case-insensitively, and the last one wins.
    """
    entry = only_leaf(**{name: "Contoso.Secret"}).entry

    assert (entry["id"], name in entry) == ("Contoso.Utils", False)


def test_smuggled_items_do_not_count():
    secret = leaf("9.0.0", "Contoso.Secret")
    hidden = {**leaf("1.0.0"), "CatalogEntry": secret["catalogEntry"], "PackageContent": "https://x.example"}
    document = index(page([hidden], Items=[secret], LOWER="x"), Items=[page([secret])], ITEMS=7)

    registration = read_index(document)

    assert [leaf.package_id for leaf in registration.leaves] == ["Contoso.Utils"]
    kept = [registration.raw, registration.pages[0].raw, registration.leaves[0].raw]
    assert not any({"Items", "ITEMS", "LOWER", "CatalogEntry", "PackageContent"} & raw.keys() for raw in kept)


def test_duplicate_versions_are_dropped():
    doubled = [leaf("1.0.0", mine=1), leaf("1.0.0+b"), leaf("0.9.0"), leaf("1.0.0")]

    leaves = read_index(index(page(doubled))).leaves

    assert [leaf.version.full for leaf in leaves] == ["0.9.0", "1.0.0"]
    assert leaves[1].entry["mine"] == 1


def test_an_inlined_page_needs_neither_bounds_nor_url():
    bare = {"items": [leaf("1.0.0")]}

    assert read_index(body({"items": [bare]})).pages[0].count == 1


@pytest.mark.parametrize("count", [None, "2", 0, -1, 2.5, True, 2**40, {}])
def test_an_outlying_page_without_a_count_is_read(count):
    """
    No client needs it.
    """
    registration = read_index(index(page([leaf("1.0.0")], loaded=False, count=count)))

    assert [(page.count, page.is_vague) for page in registration.outlying] == [(0, False)]


@pytest.mark.parametrize("bound", [None, "", "x", 7, [], "1.5.0.preview"])
@pytest.mark.parametrize("name", ["lower", "upper"])
def test_an_outlying_page_without_bounds_is_vague(name, bound):
    registration = read_index(index(page([leaf("1.0.0")], loaded=False, **{name: bound})))

    assert [page.is_vague for page in registration.pages] == [True]


def test_an_outlying_page_listed_twice_counts_once():
    outlying = page([leaf("1.0.0")], loaded=False)

    assert len(read_index(index(outlying, outlying)).pages) == 1


def test_the_number_of_outlying_pages_is_limited():
    def naming(count):
        first = page([leaf("1.0.0")], loaded=False)
        return index(*({**first, "@id": f"{UP}/reg/page/{number}.json"} for number in range(count)))

    assert len(read_index(naming(MOST_OUTLYING_PAGES)).outlying) == MOST_OUTLYING_PAGES
    with pytest.raises(UnreadableDocument, match="names 513 pages to fetch; the limit is 512"):
        read_index(naming(MOST_OUTLYING_PAGES + 1))


def test_the_number_of_versions_on_pages_is_limited():
    pages = [{"items": [None] * (MOST_VERSIONS // 2)}] * 2

    with pytest.raises(UnreadableDocument, match="it contains no readable version"):
        read_index(body({"items": pages}))
    with pytest.raises(UnreadableDocument, match="it lists more than 65536 versions"):
        read_index(body({"items": [*pages, {"items": [None]}]}))


@pytest.mark.parametrize(
    "document", [b"{}", b'{"items":[]}', b'{"items":[{"items":[]}]}', index({"items": []}, {"items": []})]
)
def test_an_empty_index_means_no_versions(document):
    with pytest.raises(EmptyDocument):
        read_index(document)


def test_an_index_with_only_outlying_pages_has_the_requested_id():
    outlying = page([leaf("1.0.0", "Été")], loaded=False)

    assert read_index(index(outlying), "Été").package_id == "été"


def test_unknown_fields_are_kept():
    raw = {**leaf("1.0.0", news={"a": [1]}), "more": True}

    assert raw == read_index(index(page([raw]))).leaves[0].raw


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b'{"error":"try again later"}',
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
        index({"items": 7}),
    ],
)
def test_anything_but_an_index_is_unreadable(document):
    with pytest.raises(UnreadableDocument) as refused:
        read_index(document)
    assert not isinstance(refused.value, EmptyDocument)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"items":[]}', body(page([leaf("1.0.0")], loaded=False)), json.dumps("x").encode()],
)
def test_anything_but_a_page_is_unreadable(document):
    with pytest.raises(UnreadableDocument):
        read_page(document)
