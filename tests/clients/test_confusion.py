"""Dependency confusion: the upstream offers higher versions of our private ids, and no document ever shows them.

Each test ends with a check of the upstream's log: no request named one of our ids, in any casing or encoding. Clients
and commands are in test_confusion_commands.
"""

import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.clients.lures import THEIRS, hosting_ours, luring, ours_in
from tests.private import PROTECTING, Accounts, package, push
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

HIVES = ("registration", "registration-gz", "registration-gz-semver2")
OURS = (
    "/v3/flatcontainer/contoso.secret/index.json",
    "/v3/flatcontainer/Contoso.SECRET/index.json",
    *(f"/v3/{hive}/contoso.secret/index.json" for hive in HIVES),
    *(f"/v3/{hive}/contoso.secret/1.0.0.json" for hive in HIVES),
    "/v3/catalog/contoso.secret/1.0.0.json",
    "/v3/autocomplete?id=Contoso.Secret&prerelease=true&semVerLevel=2.0.0",
    "/api/v2/FindPackagesById()?id='Contoso.Secret'&semVerLevel=2.0.0",
    "/v3/catalog0/index.json",
    "/v3/catalog0/page0.json",
)
SEARCHES = (
    "",
    "secret",
    "contoso",
    "CONTOSO",
    "contoso.",
    "Contoso.Secret",
    "contoso%2Esecret",
    "packageid:contoso.secret",
    "id:secret",
    "%22contoso%20secret%22",
    "tags:contoso",
    "logging%20contoso",
    "%EF%BC%A3ontoso",
    "unhosted",
)
ABSENT = (
    "/v3/flatcontainer/contoso.unhosted/index.json",
    "/v3/flatcontainer/contoso.secret/99.0.0/contoso.secret.99.0.0.nupkg",
    "/v3/flatcontainer/contoso.secret/99.0.0/contoso.secret.nuspec",
    "/v3/flatcontainer/contoso.secret/99.0.0/readme",
    "/v3/flatcontainer/contoso.unhosted/1.0.0/contoso.unhosted.1.0.0.nupkg",
    *(f"/v3/{hive}/contoso.unhosted/index.json" for hive in HIVES),
    *(f"/v3/{hive}/contoso.secret/99.0.0.json" for hive in HIVES),
    *(f"/v3/{hive}/contoso.secret/page/99.0.0/99.0.0.json" for hive in HIVES),
    "/v3/catalog/contoso.secret/99.0.0.json",
    "/api/v2/Packages(Id='Contoso.Secret',Version='99.0.0')",
    "/api/v2/package/Contoso.Secret/99.0.0",
    "/api/v2/package/contoso.unhosted",
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[StandIn]:
    with luring() as standin:
        yield standin


@pytest.fixture
def nuget_org(upstream: StandIn) -> Iterator[StandIn]:
    yield upstream
    assert ours_in(upstream.log()) == []


@pytest.fixture(scope="module")
def hosting(tmp_path_factory: pytest.TempPathFactory, upstream: StandIn) -> Iterator[Server]:
    with hosting_ours(tmp_path_factory.mktemp("private"), upstream) as running:
        yield running


@pytest.fixture
def server(hosting: Server, nuget_org: StandIn) -> Server:
    return hosting


def status(server: Server, path: str) -> int:
    try:
        server.get(path)
    except urllib.error.HTTPError as refused:
        return refused.code
    return 200


class TestDocuments:
    @pytest.mark.parametrize("path", OURS)
    def test_of_our_ids_are_ours(self, server: Server, path: str) -> None:
        body = server.get(path)

        assert b"1.0.0" in body or b"page0.json" in body
        assert not THEIRS.search(body)

    @pytest.mark.parametrize("path", ABSENT)
    def test_ids_that_only_the_upstream_has_are_absent(self, server: Server, path: str) -> None:
        assert status(server, path) == 404

    @pytest.mark.parametrize("text", SEARCHES)
    def test_searches_show_only_ours(self, server: Server, text: str) -> None:
        """
        In every kind of search, also where the upstream is asked and offers look-alikes.
        """
        for path in (
            f"/v3/query?q={text}&prerelease=true&semVerLevel=2.0.0&take=1000",
            f"/v3/autocomplete?q={text}&prerelease=true&semVerLevel=2.0.0&take=1000",
            f"/api/v2/Search()?searchTerm='{text}'&includePrerelease=true&semVerLevel=2.0.0&$top=100",
            f"/api/v2/package-ids?partialId={text}",
        ):
            assert not THEIRS.search(server.get(path)), path

    def test_advisories_do_not_name_them(self, server: Server) -> None:
        """
        An advisory about a look-alike would make builds fail over our own package.
        """
        for name in ("base", "update"):
            assert b"contoso" not in server.get(f"/v3/vulnerabilities/{name}.json").lower()

    def test_offers_of_the_upstream_are_reported(self, server: Server) -> None:
        before = server.metric("nugetproxy_protected_appeared_total")
        server.get("/v3/query?q=unhosted&take=7")

        assert server.metric("nugetproxy_protected_appeared_total") > before
        assert "package=contoso.unhosted" in server.log


def test_a_mirror_that_hosts_nothing_has_none_of_them(tmp_path: Path, nuget_org: StandIn) -> None:
    """
    The prefix also protects when the private packages are on another server.
    """
    config = f"{PROTECTING}[hosting]\nenabled = false\n"
    with serve(tmp_path / "data", upstream=nuget_org.url, config=config) as mirror:
        workplace = Workplace(tmp_path / "work", mirror.url)
        project = workplace.project("app", ("Contoso.Secret", "*"), ("Dapper", "2.0.78"), audit=False)
        output = workplace.dotnet("restore", cwd=project).must_fail().output
        assert "NU1101: Unable to find package Contoso.Secret" in output
        for path in (*ABSENT, OURS[0], OURS[2]):
            assert status(mirror, path) == 404
        for text in SEARCHES:
            assert b"contoso" not in mirror.get(f"/v3/query?q={text}&take=1000").lower()


def test_offline(tmp_path: Path) -> None:
    """
    Without any upstream ours are served, and ids under a newly protected prefix are not served from earlier copies.
    """
    data = tmp_path / "data"
    with StandIn() as nuget_org:
        with serve(data, upstream=nuget_org.url) as unprotected:
            assert status(unprotected, "/v3/flatcontainer/contoso.secret/99.0.0/contoso.secret.99.0.0.nupkg") == 200
            assert status(unprotected, "/v3/registration-gz-semver2/contoso.secret/index.json") == 200
        # Shows that the check works: without protection the ids are in the log.
        assert len(ours_in(nuget_org.log())) >= 2
        nuget_org.forget()
        with serve(data, "--offline", upstream=nuget_org.url, config=PROTECTING) as server:
            accounts = Accounts(server.data)
            accounts.add_user("alice")
            push(server, accounts.add_key("ci", "alice"), package("Contoso.Secret"))
            for path in ABSENT:
                assert status(server, path) == 404
            for text in SEARCHES:
                assert not THEIRS.search(server.get(f"/v3/query?q={text}&take=1000"))
            workplace = Workplace(tmp_path / "work", server.url)
            project = workplace.project("app", ("Contoso.Secret", "*"), audit=False)
            workplace.dotnet("restore", cwd=project).must_succeed()
            assert [path.name for path in (workplace.packages / "contoso.secret").iterdir()] == ["1.0.0"]
        assert nuget_org.log() == []
