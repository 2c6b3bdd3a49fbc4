"""The rule by which other tests check documents."""

import pytest

from tests.protocol.urls import foreign_urls

OURS = "https://ours.example/nuget"


@pytest.mark.parametrize(
    "document",
    [
        {"@id": f"{OURS}/v3/index.json"},
        {"@id": OURS},
        {"@context": {"@vocab": "http://schema.example/schema#", "x": {"@id": "http://schema.example/x"}}},
        {"@type": ["Package", "http://schema.example/catalog#Permalink"]},
        {
            "licenseUrl": "https://up.example/license",
            "projectUrl": "http://a.example",
            "readmeUrl": "https://b.example",
        },
        {"vulnerabilities": [{"advisoryUrl": "https://advisories.example/1"}]},
        {"iconUrl": "https://author.example/logo.png"},
        {"description": "https://up.example is our home", "tags": ["see https://up.example"]},
    ],
)
def test_our_urls_and_links_for_people_are_accepted(document):
    assert foreign_urls(document, OURS) == []


@pytest.mark.parametrize(
    ("path", "url", "document"),
    [
        ("$.@id", "https://up.example/x", {"@id": "https://up.example/x"}),
        ("$.@id", "https://ours.example/nugetx", {"@id": "https://ours.example/nugetx"}),
        ("$.items[1].packageContent", "//up.example/x", {"items": [{}, {"packageContent": "//up.example/x"}]}),
        ("$.unheard-of", "ftp://up.example", {"unheard-of": "ftp://up.example"}),
        ("$.iconUrl", "https://up.example/flat/a/1.0.0/icon", {"iconUrl": "https://up.example/flat/a/1.0.0/icon"}),
        ("$[0]", "HTTP://up.example", ["HTTP://up.example"]),
        ("$.@base", "https://up.example/", {"@base": "https://up.example/"}),
    ],
)
def test_urls_that_clients_may_fetch_are_foreign(path, url, document):
    assert [(path, url)] == foreign_urls(document, OURS)
