import json
from typing import Any

import pytest

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.v3.registration import (
    Hive,
    catalog_entry_url,
    registration_of,
    write_leaf,
)
from tests.protocol.urls import foreign_urls
from tests.protocol.v3.leaves import UP, body, depending_on, index, leaf, page, read_index, read_page
from tests.protocol.writing import write_catalog_entry, write_index, write_page

EVERY_HIVE = list(Hive)


def v(text):
    return NuGetVersion.parse(text)


def numbered(count, start=0):
    return [leaf(f"1.0.{at}") for at in range(start, start + count)]


def written(registration, hive, links):
    document = write_index(registration, hive, links)
    return None if document is None else json.loads(document)


def written_entry(links, hive=Hive.GZ_SEMVER2, **entry):
    registration = read_index(index(page([leaf("1.0.0", **entry)])))
    return written(registration, hive, links)["items"][0]["items"][0]["catalogEntry"]


# --- index ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hive", EVERY_HIVE)
@pytest.mark.parametrize(
    ("leaves", "sizes", "inlined"),
    [(1, [1], True), (64, [64], True), (65, [64, 1], True), (127, [64, 63], True), (128, [64, 64], False)],
)
def test_pages_of_64_inlined_up_to_127(links, hive, leaves, sizes, inlined):
    pages = written(read_index(index(page(numbered(leaves)))), hive, links)["items"]

    assert sizes == [page["count"] for page in pages]
    assert [inlined] * len(sizes) == ["items" in page for page in pages]


def test_items_is_left_out_of_outlying_pages_never_null(links):
    """
    One code path of the official client takes null for a page to fetch, and another crashes.
    """
    text = write_index(read_index(index(page(numbered(128)))), Hive.GZ_SEMVER2, links)

    assert text is not None
    assert b'"items":null' not in text
    assert all("items" not in page and "parent" not in page for page in json.loads(text)["items"])


def test_outlying_pages_keep_the_upstreams_bounds(links):
    outlying = [page(numbered(50, at), loaded=False) for at in (0, 50, 100)]

    pages = written(read_index(index(*outlying)), Hive.GZ_SEMVER2, links)["items"]

    assert [page["count"] for page in pages] == [50, 50, 50]
    assert links.registration_page(Hive.GZ_SEMVER2, "contoso.utils", "1.0.0", "1.0.49") == pages[0]["@id"]


@pytest.mark.parametrize("hive", [Hive.PLAIN, Hive.GZ])
def test_the_older_hives_need_every_page(links, hive):
    with pytest.raises(ValueError, match="not loaded"):
        write_index(read_index(index(page(numbered(2), loaded=False))), hive, links)


@pytest.mark.parametrize("hive", [Hive.PLAIN, Hive.GZ])
def test_the_older_hives_hide_semver2_packages(links, hive):
    leaves = [leaf("1.0.0"), leaf("1.1.0-beta.1"), leaf("1.1.0", **depending_on("[2.0.0-rc.1, )")), leaf("1.2.0+meta")]

    document = written(read_index(index(page(leaves))), hive, links)

    (only,) = document["items"]
    assert (only["count"], only["lower"], only["upper"]) == (1, "1.0.0", "1.0.0")
    assert document["commitId"] == "commit-of-1.0.0"


@pytest.mark.parametrize("hive", [Hive.PLAIN, Hive.GZ])
def test_an_id_of_semver2_packages_only_is_unknown_to_the_older_hives(links, hive):
    assert written(read_index(index(page([leaf("1.0.0-beta.1")]))), hive, links) is None


@pytest.mark.parametrize("hive", [Hive.PLAIN, Hive.GZ])
@pytest.mark.parametrize("name", ["deprecation", "vulnerabilities"])
def test_the_older_hives_have_no_deprecations_and_vulnerabilities(links, hive, name):
    value = {"deprecation": {"reasons": ["Legacy"]}, "vulnerabilities": [{"severity": "2"}]}[name]

    assert name not in written_entry(links, hive, **{name: value})
    assert name in written_entry(links, Hive.GZ_SEMVER2, **{name: value})


def test_an_id_without_versions_is_unknown(links):
    assert write_index(registration_of("A", []), Hive.GZ_SEMVER2, links) is None


def test_unknown_fields_of_index_page_leaf_and_entry_survive(links):
    raw = {**leaf("1.0.0", ofEntry=[1, {"a": 2.5}]), "ofLeaf": None}
    document = written(read_index(index(page([raw], ofPage="p"), ofIndex={"i": True})), Hive.GZ_SEMVER2, links)
    (of_page,) = document["items"]
    (of_leaf,) = of_page["items"]

    assert (
        document["ofIndex"],
        of_page["ofPage"],
        of_leaf["ofLeaf"],
        of_leaf["catalogEntry"]["ofEntry"],
    ) == ({"i": True}, "p", None, [1, {"a": 2.5}])


def test_urls_in_unknown_fields_of_index_and_page_become_ours(links):
    hidden: dict[str, Any] = {
        "more": [{"@id": f"{UP}/x#y", "packageContent": f"{UP}/p", "registration": f"{UP}/r", "oddUrl": "x:y"}]
    }
    registration = read_index(index(page([leaf("1.0.0")], **hidden), **hidden))

    document = written(registration, Hive.GZ_SEMVER2, links)
    (only,) = registration.pages
    of_page = json.loads(write_page(registration, Hive.GZ_SEMVER2, only.lower, only.upper, links) or b"")

    for holder in (document, document["items"][0], of_page):
        assert holder["more"][0]["@id"].endswith("#y")
        assert holder["more"][0]["oddUrl"] == ""
    assert foreign_urls([document, of_page], links.base) == []


def test_fields_that_private_feeds_omit_are_added(links):
    bare = {"catalogEntry": {"id": "Contoso.Utils", "version": "1.0.0"}}
    document = written(read_index(body({"items": [{"items": [bare]}]})), Hive.GZ_SEMVER2, links)
    (of_page,) = document["items"]
    (of_leaf,) = of_page["items"]

    assert (document["count"], of_page["count"], of_page["lower"], of_page["upper"]) == (1, 1, "1.0.0", "1.0.0")
    assert links.nupkg("contoso.utils", "1.0.0") == of_leaf["packageContent"]
    assert links.nupkg("contoso.utils", "1.0.0") == of_leaf["catalogEntry"]["packageContent"]
    assert {"@id", "@type", "registration"} < of_leaf.keys()


# --- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rewritten", "url"),
    [
        (True, f"{UP}/v3-flatcontainer/contoso.utils/1.0.0/icon"),
        (True, f"{UP}/v3-flatcontainer/Contoso.Utils/1.0.0/icon?size=2#x"),
        (False, "https://contoso.example/icon"),
        (False, f"{UP}/v3-flatcontainer/contoso.utils/2.0.0/icon"),
        (False, f"{UP}/v3-flatcontainer/contoso.utils/1.0.0/icon.png"),
        (False, ""),
    ],
)
def test_an_icon_in_a_flat_container_gets_our_url(links, rewritten, url):
    assert (links.part("contoso.utils", "1.0.0", "icon") if rewritten else url) == written_entry(links, iconUrl=url)[
        "iconUrl"
    ]


@pytest.mark.parametrize("name", ["licenseUrl", "projectUrl", "readmeUrl"])
def test_links_for_people_are_kept(links, name):
    url = f"{UP}/packages/Contoso.Utils/1.0.0/license"

    assert url == written_entry(links, **{name: url})[name]


def test_identifiers_keep_their_fragments(links):
    own = links.catalog_entry("contoso.utils", "1.0.0")
    entry = written_entry(
        links,
        deprecation={
            "@id": f"{UP}/c.json#deprecation",
            "alternatePackage": {"@id": f"{UP}/c.json#deprecation/alternatePackage", "id": "Other", "range": "*"},
        },
        vulnerabilities=[
            {"@id": f"{UP}/c.json#vulnerability/1", "advisoryUrl": "https://a.example/1", "severity": "2"}
        ],
    )

    assert f"{own}#deprecation" == entry["deprecation"]["@id"]
    assert f"{own}#deprecation/alternatePackage" == entry["deprecation"]["alternatePackage"]["@id"]
    assert [{"@id": f"{own}#vulnerability/1", "advisoryUrl": "https://a.example/1", "severity": "2"}] == entry[
        "vulnerabilities"
    ]


@pytest.mark.parametrize("hive", EVERY_HIVE)
def test_a_dependency_links_to_its_registration_in_the_same_hive(links, hive):
    groups = depending_on("[1.0.0, )")
    groups["dependencyGroups"][0]["dependencies"][0]["registration"] = f"{UP}/reg/other/index.json"

    (group,) = written_entry(links, hive, **groups)["dependencyGroups"]

    assert links.registration_index(hive, "other") == group["dependencies"][0]["registration"]


def test_an_empty_dependency_group_is_kept(links):
    """
    It means "no dependencies for this framework".
    """
    group = {"@type": "PackageDependencyGroup", "targetFramework": "net8.0"}

    assert [group] == written_entry(links, dependencyGroups=[group])["dependencyGroups"]


def test_the_original_is_not_changed(links):
    registration = read_index(index(page([leaf("1.0.0", **depending_on("1.0"))])))
    before = json.dumps(registration.leaves[0].raw)

    for hive in EVERY_HIVE:
        write_index(registration, hive, links)
        write_leaf(registration.leaves[0], hive, links)
    write_catalog_entry(registration.leaves[0], None, links)

    assert before == json.dumps(registration.leaves[0].raw)


# --- pages and leaves -------------------------------------------------------------------------------------------------


def written_page(registration, lower, upper, links, hive=Hive.GZ_SEMVER2):
    document = write_page(registration, hive, v(lower), v(upper), links)
    return None if document is None else json.loads(document)


def test_any_bounds_give_a_page(links):
    """
    A client may hold an index from before a version was published.
    """
    registration = read_index(index(page(numbered(64)), page(numbered(64, 64))))

    document = written_page(registration, "1.0.60", "1.0.70", links)

    assert [f"1.0.{at}" for at in range(60, 71)] == [leaf["catalogEntry"]["version"] for leaf in document["items"]]
    assert (document["count"], document["lower"], document["upper"]) == (11, "1.0.60", "1.0.70")


def test_a_page_states_the_bounds_of_its_leaves(links):
    document = written_page(read_index(index(page(numbered(3)))), "0.1.0", "9.0.0", links)

    assert (document["lower"], document["upper"]) == ("1.0.0", "1.0.2")
    assert links.registration_page(Hive.GZ_SEMVER2, "contoso.utils", "0.1.0", "9.0.0") == document["@id"]


def test_a_page_without_versions_is_unknown(links):
    assert written_page(read_index(index(page(numbered(3)))), "2.0.0", "3.0.0", links) is None
    assert written_page(read_index(index(page([leaf("1.0.0+m")]))), "1.0.0", "1.0.0", links, Hive.PLAIN) is None


def test_a_page_with_a_gap_is_refused(links):
    registration = read_index(index(page(numbered(2)), page(numbered(2, 2), loaded=False)))

    with pytest.raises(ValueError, match="not loaded"):
        written_page(registration, "1.0.1", "1.0.2", links)
    assert written_page(registration, "1.0.0", "1.0.1", links)["count"] == 2


def test_a_loaded_page_keeps_its_fields(links, kept):
    registration = read_index(kept("registration-index-made.paged"), "Made.Paged")
    loaded = read_page(kept("registration-page-made.paged"), "Made.Paged")
    registration = registration.with_pages({registration.pages[1].url: loaded})

    document = written_page(registration, "1.0.64", "1.0.65", links)

    assert json.loads(kept("registration-page-made.paged"))["@context"] == document["@context"]
    assert foreign_urls(document, links.base) == []


def test_a_leaf_links_to_its_catalog_entry(links):
    only = read_index(index(page([leaf("1.0.0-RC", listed=False, published="1900-01-01T00:00:00+00:00")]))).leaves[0]
    document = write_leaf(only, Hive.GZ, links)

    assert document is not None
    assert {
        "@id": links.registration_leaf(Hive.GZ, "contoso.utils", "1.0.0-rc"),
        "@type": ["Package", "http://schema.nuget.org/catalog#Permalink"],
        "catalogEntry": links.catalog_entry("contoso.utils", "1.0.0-rc"),
        "listed": False,
        "packageContent": links.nupkg("contoso.utils", "1.0.0-rc"),
        "published": "1900-01-01T00:00:00+00:00",
        "registration": links.registration_index(Hive.GZ, "contoso.utils"),
    } == {name: value for name, value in json.loads(document).items() if name != "@context"}


def test_a_semver2_leaf_is_unknown_to_the_older_hives(links):
    only = read_index(index(page([leaf("1.0.0-rc.1")]))).leaves[0]

    assert [write_leaf(only, hive, links) for hive in (Hive.PLAIN, Hive.GZ)] == [None, None]


# --- catalog entries --------------------------------------------------------------------------------------------------


def test_the_upstreams_catalog_entry_is_known_by_its_address(kept):
    only = read_index(index(page([leaf("1.0.0")]))).leaves[0]
    bare = read_index(body({"items": [{"items": [{"catalogEntry": {"id": "A", "version": "1.0"}}]}]}), "A").leaves[0]

    assert f"{UP}/catalog/2020/contoso.utils.1.0.0.json" == catalog_entry_url(only)
    assert catalog_entry_url(bare) is None


def test_without_a_catalog_the_registration_is_used(links):
    only = read_index(index(page([leaf("1.0.0-rc", description="d", **depending_on("1.0"))]))).leaves[0]

    document = json.loads(write_catalog_entry(only, None, links))

    assert (links.catalog_entry("contoso.utils", "1.0.0-rc"), "d", True) == (
        document["@id"],
        document["description"],
        document["isPrerelease"],
    )
    assert foreign_urls(document, links.base) == []


def test_nuget_orgs_catalog_entry_is_unchanged_except_urls(links, kept):
    document = json.loads(kept("catalog-entry-made.vulnerable"))
    only = read_index(index(page([leaf("1.0.0", "Made.Vulnerable")])), "Made.Vulnerable").leaves[0]

    ours = json.loads(write_catalog_entry(only, document, links))

    assert document.keys() == ours.keys()
    assert document["packageHash"] == ours["packageHash"]
    assert links.catalog_entry("made.vulnerable", "1.0.0") + "#vulnerability/0" == ours["vulnerabilities"][0]["@id"]
    assert foreign_urls(ours, links.base) == []
