import pytest

from nugetproxy.protocol.links import Links
from nugetproxy.protocol.v3.registration import Hive

LINKS = Links("https://ours.example/nuget")


@pytest.mark.parametrize(
    ("expected", "link"),
    [
        ("/v3/index.json", LINKS.service_index()),
        ("/v3/flatcontainer/", LINKS.flat_container()),
        ("/v3/flatcontainer/a.b/index.json", LINKS.versions("a.b")),
        ("/v3/flatcontainer/a.b/1.0.0-rc.1/a.b.1.0.0-rc.1.nupkg", LINKS.nupkg("a.b", "1.0.0-rc.1")),
        ("/v3/flatcontainer/a.b/1.0.0/a.b.nuspec", LINKS.nuspec("a.b", "1.0.0")),
        ("/v3/flatcontainer/a.b/1.0.0/icon", LINKS.part("a.b", "1.0.0", "icon")),
        ("/v3/flatcontainer/{lower_id}/{lower_version}/readme", LINKS.readme_template()),
        ("/v3/registration/", LINKS.registration_base(Hive.PLAIN)),
        ("/v3/registration-gz/", LINKS.registration_base(Hive.GZ)),
        ("/v3/registration-gz-semver2/", LINKS.registration_base(Hive.GZ_SEMVER2)),
        ("/v3/registration/a.b/index.json", LINKS.registration_index(Hive.PLAIN, "a.b")),
        ("/v3/registration-gz/a.b/page/1.0.0/2.0.0.json", LINKS.registration_page(Hive.GZ, "a.b", "1.0.0", "2.0.0")),
        ("/v3/registration-gz-semver2/a.b/1.0.0.json", LINKS.registration_leaf(Hive.GZ_SEMVER2, "a.b", "1.0.0")),
        ("/v3/catalog/a.b/1.0.0.json", LINKS.catalog_entry("a.b", "1.0.0")),
        ("/v3/catalog0/index.json", LINKS.catalog_index()),
        ("/v3/catalog0/page12.json", LINKS.catalog_page(12)),
        ("/v3/catalog0/data/2026.01.02/a.b.1.0.0.json", LINKS.catalog_leaf("2026.01.02", "a.b", "1.0.0")),
        ("/v3/query", LINKS.search()),
        ("/v3/autocomplete", LINKS.autocomplete()),
        ("/api/v2", LINKS.v2()),
        ("/api/v2/Search()", LINKS.v2_collection("Search()")),
        ("/api/v2/Packages(Id='A.B',Version='1.0.0-rc')", LINKS.v2_entry("A.B", "1.0.0-rc")),
        ("/api/v2/package/a.b/1.0.0-rc", LINKS.v2_package("a.b", "1.0.0-rc")),
        ("/v3/vulnerabilities/index.json", LINKS.vulnerability_index()),
        ("/v3/vulnerabilities/base.json", LINKS.vulnerability_page("base")),
        ("/v3/repository-signatures/5.0.0/index.json", LINKS.repository_signatures("5.0.0")),
        ("/v3/repository-signatures/certificates/ab.crt", LINKS.certificate("ab")),
        ("/v3/flatcontainer/%C3%A9t%C3%A9/1.0.0/%C3%A9t%C3%A9.1.0.0.nupkg", LINKS.nupkg("été", "1.0.0")),
        ("/v3/registration/a%2Fb%3F/index.json", LINKS.registration_index(Hive.PLAIN, "a/b?")),
    ],
)
def test_every_link_is_below_the_base(expected, link):
    assert "https://ours.example/nuget" + expected == link


@pytest.mark.parametrize(("base", "https"), [("https://a", True), ("HTTPS://a", True), ("http://a", False)])
def test_is_https(base, https):
    assert https == Links(base).is_https
