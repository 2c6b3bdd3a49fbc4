import pytest

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import Hive, registration_of
from tests.protocol.v3.leaves import body, index, leaf, page, read_index, read_page


def v(text):
    return NuGetVersion.parse(text)


def numbered(count, start=0):
    return [leaf(f"1.0.{at}") for at in range(start, start + count)]


def paged(*sizes):
    """Outlying pages of these sizes, and the documents behind them by URL."""
    documents, start = {}, 0
    for size in sizes:
        document = page(numbered(size, start))
        documents[document["@id"]] = document
        start += size
    outlying = [{name: value for name, value in d.items() if name != "items"} for d in documents.values()]
    return read_index(index(*outlying)), {url: read_page(body(d)) for url, d in documents.items()}


def versions(registration):
    return [str(leaf.version) for leaf in registration.leaves]


@pytest.mark.parametrize(
    ("hive", "gzipped", "semver2"),
    [(Hive.PLAIN, False, False), (Hive.GZ, True, False), (Hive.GZ_SEMVER2, True, True)],
)
def test_hives(hive, gzipped, semver2):
    assert (gzipped, semver2) == (hive.gzipped, hive.has_semver2)


def test_leaves_are_unknown_while_pages_are_outlying():
    registration, _ = paged(64, 64)

    with pytest.raises(ValueError, match="2 registration pages are not loaded"):
        _ = registration.leaves
    with pytest.raises(ValueError, match="not loaded"):
        registration.keeping(bool)


def test_pages_are_loaded_by_url():
    registration, pages = paged(2, 2)
    (first, one), (second, other) = pages.items()

    half = registration.with_pages({second: other, "https://up.example/other": one})
    whole = half.with_pages({first: one})

    assert [page.url for page in half.outlying] == [first]
    assert versions(whole) == ["1.0.0", "1.0.1", "1.0.2", "1.0.3"]
    assert whole.outlying == ()


def test_a_vague_page_may_hold_any_version_until_it_is_loaded():
    """
    An index may omit the bounds of a page; clients select pages by their bounds.
    """
    known = page(numbered(2), loaded=False)
    document = page(numbered(2, 5))
    vague = {"@id": document["@id"]}
    registration = read_index(index(vague, known))

    assert [found.url for found in registration.overlapping(v("9.0.0"), v("9.0.0"))] == [document["@id"]]

    loaded = registration.with_pages({document["@id"]: read_page(body(document))})

    assert loaded.vague == ()
    assert [str(found.lower) for found in loaded.pages] == ["1.0.0", "1.0.5"]
    assert loaded.overlapping(v("9.0.0"), v("9.0.0")) == ()


def test_the_leaves_of_a_loaded_page_determine_its_bounds():
    """
    A version may be published between the index and the page.
    """
    registration, _ = paged(2)
    newer = read_page(body(page(numbered(3))))

    loaded = registration.with_pages({registration.pages[0].url: newer})

    assert (3, v("1.0.2")) == (loaded.count, loaded.pages[0].upper)


@pytest.mark.parametrize(
    ("expected", "lower", "upper"),
    [
        (["1.0.0"], "0.0.1", "1.0.0"),
        (["1.0.0", "1.0.2"], "1.0.1", "1.0.2"),
        (["1.0.2"], "1.0.3", "9.0.0"),
        ([], "1.0.4", "9.0.0"),
        ([], "0.0.1", "1.0.0-rc"),
    ],
)
def test_overlapping(expected, lower, upper):
    registration, _ = paged(2, 2)

    assert expected == [str(page.lower) for page in registration.overlapping(v(lower), v(upper))]


def test_find_looks_in_loaded_pages_and_ignores_case_and_metadata():
    registration = read_index(index(page([leaf("1.0.0-RC+meta")])))

    assert registration.leaves[0] is registration.find(v("1.0.0-rc"))
    assert registration.find(v("1.0.0")) is None
    assert paged(2)[0].find(v("1.0.0")) is None


def test_keeping_everything_changes_nothing():
    registration = read_index(index(page(numbered(3))))

    assert registration is registration.keeping(lambda leaf: True)


def test_keeping_makes_new_pages_with_new_bounds():
    registration = read_index(index(page(numbered(64)), page(numbered(10, 64))))

    kept = registration.keeping(lambda leaf: leaf.version != v("1.0.0"))

    assert [(str(page.lower), str(page.upper), page.count) for page in kept.pages] == [
        ("1.0.1", "1.0.64", 64),
        ("1.0.65", "1.0.73", 9),
    ]


def test_keeping_nothing_leaves_no_page():
    assert read_index(index(page(numbered(3)))).keeping(lambda leaf: False).pages == ()


def test_an_unchanged_page_keeps_its_metadata():
    registration = read_index(index(page(numbered(64)), page(numbered(10, 64))))

    kept = registration.keeping(lambda leaf: leaf.version != v("1.0.73"))

    assert [page.raw["commitId"] for page in kept.pages] == ["commit-of-page-1.0.0", "commit-of-1.0.64"]


def test_a_registration_of_leaves_is_sorted_and_the_first_of_equals_counts():
    leaves = read_index(index(page([leaf("1.0.0", mine=True), leaf("3.0.0")]))).leaves
    others = read_index(index(page([leaf("1.0.0", mine=False), leaf("2.0.0")]))).leaves

    registration = registration_of("Contoso.Utils", [*leaves, *others])

    assert versions(registration) == ["1.0.0", "2.0.0", "3.0.0"]
    assert registration.leaves[0].entry["mine"] is True


def test_the_repr_of_a_large_registration_is_short():
    assert len(repr(read_index(index(page(numbered(64)))))) < 400
