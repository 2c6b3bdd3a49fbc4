import json
import re
from pathlib import Path

import pytest

from nugetproxy.errors import UnreadableDocument
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints, read_service_index, write_service_index
from tests.protocol.urls import foreign_urls


def written(base="https://ours.example", *, vulnerabilities=True, repository_signatures=True, hosting=False):
    body = write_service_index(
        Links(base),
        vulnerabilities=vulnerabilities,
        repository_signatures=repository_signatures,
        hosting=hosting,
    )
    return json.loads(body)


def types(document):
    return [entry["@type"] for entry in document["resources"]]


def index(*resources, version="3.0.0"):
    return json.dumps({"version": version, "resources": list(resources)}).encode()


def resource(name, url, **more):
    return {"@type": name, "@id": url, **more}


# --- ours -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "PackageBaseAddress/3.0.0",
        "RegistrationsBaseUrl",
        "RegistrationsBaseUrl/3.0.0-beta",
        "RegistrationsBaseUrl/3.0.0-rc",
        "RegistrationsBaseUrl/3.4.0",
        "RegistrationsBaseUrl/3.6.0",
        "RegistrationsBaseUrl/Versioned",
        "SearchQueryService",
        "SearchQueryService/3.0.0-beta",
        "SearchQueryService/3.0.0-rc",
        "SearchQueryService/3.5.0",
        "SearchAutocompleteService",
        "SearchAutocompleteService/3.0.0-beta",
        "SearchAutocompleteService/3.0.0-rc",
        "SearchAutocompleteService/3.5.0",
        "LegacyGallery",
        "LegacyGallery/2.0.0",
        "VulnerabilityInfo/6.7.0",
        "RepositorySignatures/4.7.0",
        "RepositorySignatures/5.0.0",
        "ReadmeUriTemplate/6.13.0",
    ],
)
def test_each_name_that_some_client_looks_for_appears_once(name):
    assert types(written()).count(name) == 1


def test_types_and_urls_are_single_texts():
    """
    Renovate and PSResourceGet cannot read arrays.
    """
    assert all(isinstance(e["@type"], str) and isinstance(e["@id"], str) for e in written()["resources"])


def test_the_version_is_one_that_clients_accept():
    assert written()["version"] == "3.0.0"


def test_versioned_registrations_are_for_clients_that_know_semver2():
    (entry,) = (e for e in written()["resources"] if e["@type"] == "RegistrationsBaseUrl/Versioned")

    assert (entry["clientVersion"], entry["@id"]) == ("4.3.0-alpha", "https://ours.example/v3/registration-gz-semver2/")


def test_search_is_marked_primary():
    (entry,) = (e for e in written()["resources"] if e["@type"] == "SearchQueryService")

    assert "(primary)" in entry["comment"]


def test_signatures_are_not_offered_over_plain_http():
    """
    An http:// URL for them makes every restore from the source fail.
    """
    assert not [name for name in types(written("http://ours.example")) if name.startswith("RepositorySignatures")]


def test_resources_that_the_feed_lacks_are_left_out():
    names = types(written(vulnerabilities=False, repository_signatures=False))

    assert not [name for name in names if name.startswith(("VulnerabilityInfo", "RepositorySignatures"))]


def test_nothing_links_elsewhere():
    assert foreign_urls(written(), "https://ours.example") == []


def test_we_can_be_our_own_upstream():
    body = write_service_index(Links("https://a.example"), vulnerabilities=True, repository_signatures=True)

    assert UpstreamEndpoints(
        flat_container="https://a.example/v3/flatcontainer/",
        registrations="https://a.example/v3/registration-gz-semver2/",
        search=("https://a.example/v3/query",),
        autocomplete=("https://a.example/v3/autocomplete",),
        vulnerabilities="https://a.example/v3/vulnerabilities/index.json",
        repository_signatures="https://a.example/v3/repository-signatures/5.0.0/index.json",
        catalog=None,
    ) == read_service_index(body)


# --- an upstream's ----------------------------------------------------------------------------------------------------


def test_nuget_orgs_index_is_understood(kept):
    endpoints = read_service_index(kept("service-index"))

    assert endpoints.flat_container == "https://api.nuget.org/v3-flatcontainer/"
    assert endpoints.registrations == "https://api.nuget.org/v3/registration5-gz-semver2/"
    assert endpoints.catalog == "https://api.nuget.org/v3/catalog0/index.json"


def test_primary_search_comes_before_secondary(kept):
    assert read_service_index(kept("service-index")).search == (
        "https://azuresearch-usnc.nuget.org/query",
        "https://azuresearch-usnc.nuget.org/secondary/query",
    )


@pytest.mark.parametrize(
    ("expected", "entries"),
    [
        ("https://a/6/", [("3.4.0", "https://a/4/"), ("3.6.0", "https://a/6/")]),
        ("https://a/v/", [("3.6.0", "https://a/6/"), ("Versioned", "https://a/v/")]),
        ("https://a/4/", [("3.0.0-rc", "https://a/rc/"), ("3.4.0", "https://a/4/")]),
        ("https://a/rc/", [("3.0.0-beta", "https://a/b/"), ("3.0.0-rc", "https://a/rc/")]),
        ("https://a/6/", [("3.6.0", "https://a/6")]),
    ],
)
def test_the_best_registrations_are_used(expected, entries):
    endpoints = read_service_index(index(*(resource(f"RegistrationsBaseUrl/{v}", url) for v, url in entries)))

    assert expected == endpoints.registrations


def test_types_may_be_arrays_and_in_any_case():
    body = index(resource(["x", "packagebaseaddress/3.0.0", 1], "https://a/flat"))

    assert read_service_index(body).flat_container == "https://a/flat/"


@pytest.mark.parametrize("url", [None, 1, "", "/relative/", "ftp://a/", "file:///etc/"])
def test_entries_without_a_web_address_are_ignored(url):
    body = index(resource("PackageBaseAddress/3.0.0", url), resource("PackageBaseAddress/3.0.0", "https://a/"))

    assert read_service_index(body).flat_container == "https://a/"


def test_a_query_in_a_search_url_is_cut_off():
    body = index(
        resource("SearchQueryService", "https://a/query?x=1"), resource("SearchQueryService", "https://a/query")
    )

    assert read_service_index(body).search == ("https://a/query",)


def test_missing_resources_are_none():
    assert UpstreamEndpoints() == read_service_index(index())


@pytest.mark.parametrize(
    "body",
    [b"{}", b"<html>", b'{"version":"3.0.0"}', b'{"version":"3.0.0","resources":{}}', index(version="2.0.0")],
)
def test_anything_but_a_service_index_is_unreadable(body):
    with pytest.raises(UnreadableDocument):
        read_service_index(body)


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_documentation_lists_every_resource_and_its_url():
    text = (Path(__file__).parents[3] / "docs" / "protocol" / "service-index.md").read_text()
    documented = re.findall(r"^\| `([^`]+)` \| `(\{base\}[^`]+)` \|$", text, re.MULTILINE)

    resources = [(entry["@type"], entry["@id"]) for entry in written("https://x", hosting=True)["resources"]]
    assert documented == [(name, url.replace("https://x", "{base}")) for name, url in resources]


def of_types(*entries: tuple[str, str, object]) -> UpstreamEndpoints:
    """The endpoints of entries with a type, a URL and a clientVersion (None: without)."""
    resources = [
        {"@type": name, "@id": url} | ({} if client is None else {"clientVersion": client})
        for name, url, client in entries
    ]
    return read_service_index(json.dumps({"version": "3.0.0", "resources": resources}).encode())


@pytest.mark.parametrize("client", ["99.0.0", "abc", "", 1, {}, ["99.0.0"], ["abc"]])
def test_an_entry_for_other_clients_is_ignored(client):
    """
    As in the official client; also for an invalid version.
    """
    endpoints = of_types(
        ("PackageBaseAddress/3.0.0", "https://other.example/", client),
        ("PackageBaseAddress/3.0.0", "https://a.example/", None),
    )

    assert endpoints.flat_container == "https://a.example/"


@pytest.mark.parametrize("client", ["4.3.0-alpha", "7.9.0", ["99.0.0", "5.0.0"]])
def test_the_entry_for_the_newest_client_counts(client):
    endpoints = of_types(
        ("RegistrationsBaseUrl/Versioned", "https://old.example/", "3.0.0"),
        ("RegistrationsBaseUrl/Versioned", "https://a.example/", client),
        ("RegistrationsBaseUrl/Versioned", "https://older.example/", None),
    )

    assert endpoints.registrations == "https://a.example/"


def test_the_number_of_search_services_is_limited():
    many = [("SearchQueryService", f"https://s{number}.example/query", None) for number in range(100)]

    assert len(of_types(*many).search) == 4


@pytest.mark.parametrize(
    ("flat_container", "registrations", "catalog", "is_own"),
    [
        ("https://up.test/flat/", None, "https://up.test/catalog.json", True),
        ("https://up.test/flat/", "https://cdn.test/reg/", "https://UP.test/catalog.json", True),
        (None, "https://up.test/reg/", "https://up.test/catalog.json", True),
        ("https://up.test/flat/", "https://api.nuget.org/reg/", "https://api.nuget.org/catalog.json", False),
        ("https://up.test/flat/", None, "http://up.test/catalog.json", False),
        ("https://up.test/flat/", None, "https://up.test:8443/catalog.json", False),
        ("https://up.test/flat/", None, "https://[/catalog.json", False),
        ("https://up.test/flat/", None, None, False),
    ],
)
def test_a_catalog_of_another_server_is_not_its_own(flat_container, registrations, catalog, is_own):
    endpoints = UpstreamEndpoints(flat_container=flat_container, registrations=registrations, catalog=catalog)
    assert endpoints.own_catalog == (catalog if is_own else None)


def test_our_own_catalog_is_not_taken_for_one_of_all_packages():
    """
    It names hosted packages only; another mirror must not rely on it for those that we mirror.
    """
    body = write_service_index(
        Links("https://a.test"), vulnerabilities=False, repository_signatures=False, hosting=True
    )
    assert b"Catalog/3.0.0" in body
    assert read_service_index(body).catalog is None
