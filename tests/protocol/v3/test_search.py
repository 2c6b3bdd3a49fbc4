import json
from urllib.parse import parse_qs

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.v3.registration import Hive
from nugetproxy.protocol.v3.search import (
    CompletionPage,
    CompletionQuery,
    SearchHit,
    SearchPage,
    SearchQuery,
    hit_from_leaves,
    read_completion,
    read_search,
)
from nugetproxy.protocol.v3.search_writer import write_completion
from tests.protocol.urls import foreign_urls
from tests.protocol.v3.leaves import UP, body, index, leaf, page, read_index
from tests.protocol.writing import write_search

SEMVER2 = SearchQuery(semver_level2=True)


def row(**more):
    return {"id": "Contoso.Utils", "version": "1.0.0", "versions": [{"version": "1.0.0", "downloads": 3}], **more}


def answer(*rows, **more):
    return body({"totalHits": len(rows), "data": list(rows), **more})


def written(document, query=SEMVER2, *, links):
    return json.loads(write_search(read_search(document), query, links))


def leaves(*raws):
    return read_index(index(page(list(raws)))).leaves


# --- search responses -------------------------------------------------------------------------------------------------


def test_nuget_orgs_response_is_unchanged_except_urls(links, kept):
    theirs = json.loads(kept("search"))
    ours = written(kept("search"), links=links)

    assert ours["totalHits"] == theirs["totalHits"]
    assert ours["data"][0].keys() == theirs["data"][0].keys()
    assert ours["data"][0]["vulnerabilities"] == theirs["data"][0]["vulnerabilities"]
    assert foreign_urls(ours, links.base) == []


def test_every_response_equals_the_stand_ins(nuget_org, links):
    """
    With plain text replacement of the URLs; all packages, both hives that results link to.
    """
    for level, hive in (("2.0.0", Hive.GZ_SEMVER2), ("", Hive.GZ)):
        query = SearchQuery(take=1000, prerelease=True, semver_level2=level == "2.0.0")
        theirs = nuget_org.search(parse_qs("&".join(f"{name}={value}" for name, value in query.params())))
        text = json.dumps(theirs)
        for upstream, our_hive in (("gz-semver2", Hive.GZ_SEMVER2), ("gz-semver1", Hive.GZ)):
            text = text.replace(f"{UP}/v3/registration5-{upstream}/", links.registration_base(our_hive))
        text = text.replace(f"{UP}/v3-flatcontainer/", links.flat_container())

        ours = write_search(read_search(body(theirs)), query, links)

        assert json.loads(ours) == json.loads(text)
        assert query.hive == hive
        assert foreign_urls(json.loads(ours), links.base) == []


def test_the_total_comes_before_the_data(links):
    """
    Clients stop reading when they have as many hits as they asked for.
    """
    text = write_search(SearchPage(1, (SearchHit("Contoso.Utils", row()),)), SEMVER2, links)

    assert text.index(b'"totalHits"') < text.index(b'"data"')


def test_a_severity_is_a_number(links):
    document = answer(row(vulnerabilities=[{"advisoryUrl": "https://a.example/1", "severity": "2"}]))

    assert written(document, links=links)["data"][0]["vulnerabilities"][0]["severity"] == 2


def test_vulnerabilities_are_an_array_even_if_there_are_none(links):
    assert written(answer(row()), links=links)["data"][0]["vulnerabilities"] == []


@pytest.mark.parametrize("versions", [None, [], {}, [{}], [{"version": "x"}], "1.0.0"])
def test_a_hit_without_versions_shows_its_own(links, versions):
    """
    Clients throw if there are none.
    """
    (hit,) = written(answer(row(versions=versions)), links=links)["data"]

    assert [entry["version"] for entry in hit["versions"]] == ["1.0.0"]


def test_versions_link_to_our_leaves(links):
    rows = [{"version": "1.0.0-RC.1+meta", "downloads": 1, "@id": f"{UP}/x.json", "more": 1}]
    (hit,) = written(answer(row(versions=rows)), links=links)["data"]

    assert hit["versions"] == [
        {
            **rows[0],
            "@id": links.registration_leaf(Hive.GZ_SEMVER2, "contoso.utils", "1.0.0-rc.1"),
        }
    ]


def test_urls_in_unknown_fields_of_a_version_become_ours(links):
    rows = [{"version": "1.0.0", "more": {"packageContent": f"{UP}/p", "@id": f"{UP}/x", "oddUrl": "javascript:x"}}]

    (hit,) = written(answer(row(versions=rows)), links=links)["data"]

    leaf = links.registration_leaf(Hive.GZ_SEMVER2, "contoso.utils", "1.0.0")
    package = links.nupkg("contoso.utils", "1.0.0")
    assert hit["versions"][0]["more"] == {"packageContent": package, "@id": leaf, "oddUrl": ""}


def test_an_icon_in_a_flat_container_gets_our_url(links):
    (hit,) = written(answer(row(iconUrl=f"{UP}/v3-flatcontainer/contoso.utils/1.0.0/icon")), links=links)["data"]

    assert hit["iconUrl"] == links.part("contoso.utils", "1.0.0", "icon")


def test_hits_that_clients_throw_on_are_left_out():
    found = read_search(answer(row(), row(id=None), row(id="no id"), row(version="x"), {}, 1, None))

    assert [hit.id for hit in found.hits] == ["Contoso.Utils"]


@pytest.mark.parametrize(("expected", "total"), [(7, 7), (0, 0), (1, None), (1, "7"), (1, -1), (1, True), (1, 7.5)])
def test_an_invalid_total_is_counted(expected, total):
    assert read_search(answer(row(), totalHits=total)).total == expected


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"totalHits":0,"data":{}}', b"<html>"])
def test_anything_but_a_response_is_unreadable(document):
    with pytest.raises(UnreadableDocument):
        read_search(document)
    with pytest.raises(UnreadableDocument):
        read_completion(document, of_versions=False)


# --- autocomplete -----------------------------------------------------------------------------------------------------


def test_nuget_orgs_completion_is_unchanged(links, kept):
    document = write_completion(
        read_completion(kept("autocomplete"), of_versions=False), CompletionQuery(text="newtons"), links
    )

    assert json.loads(document) == json.loads(kept("autocomplete"))


def test_completions_contain_only_texts():
    ids, versions = (
        read_completion(b'{"data":["A.b",1,null,"1.0","a b","javascript:x"]}', of_versions=asked)
        for asked in (False, True)
    )

    assert ids == CompletionPage(None, ("A.b", "1.0"))
    assert versions == CompletionPage(None, ("1.0",))


@pytest.mark.parametrize(
    ("expected", "total", "query"),
    [
        ({"totalHits": 9}, 9, CompletionQuery(text="a")),
        ({"totalHits": 1}, None, CompletionQuery(text="a")),
        ({}, None, CompletionQuery(package_id="A")),
    ],
)
def test_ids_have_a_total(links, expected, total, query):
    document = json.loads(write_completion(CompletionPage(total, ("x",)), query, links))

    assert {name: value for name, value in document.items() if name != "@context"} == {**expected, "data": ["x"]}


# --- hits from kept packages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        (["1.0.0"], SearchQuery()),
        (["1.0.0", "2.0.0-rc"], SearchQuery(prerelease=True)),
        (["1.0.0", "1.5.0+meta"], SearchQuery(semver_level2=True)),
        (["1.0.0", "1.5.0+meta", "2.0.0-rc", "2.0.0-rc.1"], SearchQuery(prerelease=True, semver_level2=True)),
    ],
)
def test_a_hit_shows_versions_that_the_client_can_read(expected, query):
    hit = hit_from_leaves(
        leaves(leaf("2.0.0-rc.1"), leaf("1.0.0"), leaf("2.0.0-rc"), leaf("1.5.0+meta"), leaf("3.0.0", listed=False)),
        query,
    )

    assert hit is not None
    assert [entry["version"] for entry in hit.raw["versions"]] == expected
    assert hit.raw["version"] == expected[-1]


def test_an_id_with_nothing_visible_gives_no_hit():
    assert hit_from_leaves(leaves(leaf("1.0.0", listed=False), leaf("2.0.0-rc")), SearchQuery()) is None
    assert hit_from_leaves((), SearchQuery()) is None


def test_warnings_have_the_form_of_a_search(links):
    """
    In a search they are plain objects; in a registration their parts have identifiers.
    """
    alternate = {"@id": "x#deprecation/alternatePackage", "@type": "alternatePackage", "id": "B", "range": "*"}
    warned = leaf(
        "1.0.0",
        deprecation={
            "@id": "x#deprecation",
            "@type": "deprecation",
            "reasons": ["Legacy"],
            "alternatePackage": alternate,
        },
        vulnerabilities=[
            {
                "@id": "x#vulnerability/0",
                "@type": "Vulnerability",
                "advisoryUrl": "https://a.example/1",
                "severity": "2",
            }
        ],
    )
    hit = hit_from_leaves(leaves(warned), SEMVER2)
    assert hit is not None
    [shown] = json.loads(write_search(SearchPage(1, (hit,)), SEMVER2, links))["data"]

    assert shown["deprecation"] == {"reasons": ["Legacy"], "alternatePackage": {"id": "B", "range": "*"}}
    assert shown["vulnerabilities"] == [{"advisoryUrl": "https://a.example/1", "severity": 2}]


@pytest.mark.parametrize(
    ("expected", "package_type", "declared"),
    [
        (["Dependency"], None, {}),
        (["DotnetTool"], None, {"packageTypes": [{"name": "DotnetTool", "version": ""}]}),
        (["DotnetTool"], "dotnettool", {"packageTypes": [{"name": "DotnetTool"}]}),
        (None, "Dependency", {"packageTypes": [{"name": "DotnetTool"}]}),
        (None, "DotnetTool", {"packageTypes": [{"name": "Dependency"}]}),
    ],
)
def test_package_types(expected, package_type, declared):
    hit = hit_from_leaves(leaves(leaf("1.0.0", **declared)), SearchQuery(package_type=package_type))

    assert (hit and [kind["name"] for kind in hit.raw["packageTypes"]]) == expected


def test_leaves_of_an_upstream_have_the_type_they_were_selected_by():
    """
    No registration contains package types; the inventory of kept packages does.
    """
    hit = hit_from_leaves(leaves(leaf("1.0.0")), SearchQuery(package_type="DotnetTool"))

    assert hit is not None
    assert hit.raw["packageTypes"] == [{"name": "DotnetTool"}]


def test_a_hit_has_every_field_that_clients_need(links, kept):
    of_leaves = hit_from_leaves(
        read_index(kept("registration-index-system.text.json"), "System.Text.Json").leaves, SEMVER2
    )
    assert of_leaves is not None

    (ours,) = json.loads(write_search(SearchPage(1, (of_leaves,)), SEMVER2, links))["data"]
    (theirs,) = json.loads(kept("search"))["data"]

    # No registration contains owners.
    assert theirs.keys() - ours.keys() == {"owners"}
    same = ("id", "version", "summary", "title", "licenseUrl", "projectUrl", "tags", "authors")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert [found["severity"] for found in ours["vulnerabilities"]] == [2, 2]
    assert foreign_urls(ours, links.base) == []


def test_a_text_that_does_not_match_gives_no_hit():
    assert hit_from_leaves(leaves(leaf("1.0.0")), SearchQuery("contoso")) is not None
    assert hit_from_leaves(leaves(leaf("1.0.0")), SearchQuery("fabrikam")) is None
