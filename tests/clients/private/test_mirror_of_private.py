"""A second nugetproxy mirrors the first: packages hosted by the first are mirrored, and follow every act there."""

import json
import re
import shutil
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.private import PROTECTING, Accounts, package, push, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

FRESH = 0.2
"""Seconds for which the second trusts its copies; after that it asks before it answers."""
QUICK = "".join(
    f'[mirroring.freshness.{kind}]\nfresh = "{FRESH}s"\nabsent = "{FRESH}s"\nstale_if_error = "365d"\n'
    for kind in ("versions", "registration", "registration_page", "search")
)


@pytest.fixture(scope="module")
def first(private: Server) -> Server:
    return private


@pytest.fixture
def server(tmp_path: Path, first: Server) -> Iterator[Server]:
    """The second."""
    with serve(tmp_path / "second", upstream=first.url) as running:
        yield running


def test_restore_through_it(first: Server, workplace: Workplace, key: str) -> None:
    """
    Private and public packages together, through two servers, and again when the first is down.
    """
    needs = [("Serilog", "4.3.0")]
    push(first, key, package("Contoso.Far", dependencies=needs), package("Contoso.Far", "1.1.0", dependencies=needs))
    project = workplace.project("app", ("Contoso.Far", "1.0.0"), ("Dapper", "2.0.78"), audit=False)
    workplace.dotnet("restore", "--use-lock-file", cwd=project).must_succeed()
    listed = workplace.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output
    assert "1.1.0" in listed

    first.stop()
    try:
        workplace.forget()
        workplace.dotnet("restore", "--locked-mode", cwd=project).must_succeed()
        assert (workplace.packages / "contoso.far" / "1.0.0").is_dir()
    finally:
        first.start()


def test_search_through_it(first: Server, workplace: Workplace, key: str) -> None:
    push(first, key, package("Contoso.Sought"))
    found = workplace.dotnet("package", "search", "Contoso.Sought", "--format", "json").must_succeed().output

    hits = json.loads(found)["searchResult"][0]["packages"]
    assert [(hit["id"], hit["latestVersion"]) for hit in hits] == [("Contoso.Sought", "1.0.0")]


@dataclass(frozen=True)
class Pair:
    """A first server that requires credentials, and a second that has some and allows anonymous reading."""

    first: Server
    second: Server
    key: str
    administrators: str

    def push(self, package_id: str, *versions: str) -> None:
        push(self.first, self.key, *(package(package_id, version) for version in versions))

    def act(self, method: str, path: str, *, key: str = "", body: bytes | None = None) -> None:
        """On the first; then wait until the copies of the second are no longer fresh."""
        reply = send(self.first, method, f"/api/v2/package/{path}", key=key or self.key, body=body)
        assert reply.status in (200, 204), reply
        time.sleep(FRESH + 0.05)

    def versions(self, package_id: str) -> list[str]:
        """In the second's flat container."""
        return list(json.loads(self.second.get(f"/v3/flatcontainer/{package_id.lower()}/index.json"))["versions"])

    def nupkg(self, package_id: str, version: str) -> bytes:
        lower_id = package_id.lower()
        return self.second.get(f"/v3/flatcontainer/{lower_id}/{version}/{lower_id}.{version}.nupkg")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    closed = f'{PROTECTING}[accounts]\nanonymous_read = "none"\n'
    with serve(folder / "first", upstream=nuget_org.url, config=closed) as first:
        accounts = Accounts(first.data)
        accounts.add_user("alice")
        accounts.run("user", "add", "root", "--admin")
        password = folder / "password"
        password.write_text(accounts.add_key("mirror", "alice", scopes=["read"]))
        credentials = f'username = "mirror"\npassword_file = "{password}"\n'
        upstream = f'[[mirroring.upstream]]\nname = "first"\nservice_index = "{first.url}"\n{credentials}'
        with serve(folder / "second", config=f"{QUICK}{upstream}") as second:
            yield Pair(first, second, accounts.add_key("ci", "alice"), accounts.add_key("root", "root"))


@pytest.fixture
def beyond(tmp_path: Path, pair: Pair) -> Workplace:
    """Where the second's clients work."""
    return Workplace(tmp_path / "beyond", pair.second.url)


def shown(workplace: Workplace, package_id: str) -> list[str]:
    """The versions that `dotnet package search` lists, by the registration, nothing from a cache of its own."""
    workplace.forget()
    ran = workplace.dotnet("package", "search", package_id, "--exact-match", "--format", "json").must_succeed()
    return [str(each["version"]) for each in json.loads(ran.output)["searchResult"][0]["packages"]]


def found(pair: Pair, package_id: str) -> list[str]:
    """The versions that the second's search shows."""
    hits = json.loads(pair.second.get(f"/v3/query?q=packageid:{package_id}"))["data"]
    return [str(each["version"]) for hit in hits for each in hit["versions"]]


class TestWhatAClientOfTheSecondSees:
    """Within freshness, with credentials in between, and with a look before each act so that the second had the old."""

    def test_the_first_tells_nothing_without_credentials(self, pair: Pair) -> None:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            pair.first.get("/v3/index.json")

    def test_a_push(self, pair: Pair, beyond: Workplace) -> None:
        pair.push("Contoso.Pushed", "1.0.0")
        assert shown(beyond, "Contoso.Pushed") == found(pair, "Contoso.Pushed") == ["1.0.0"]
        pair.push("Contoso.Pushed", "1.1.0")
        time.sleep(FRESH + 0.05)

        assert shown(beyond, "Contoso.Pushed") == found(pair, "Contoso.Pushed") == ["1.0.0", "1.1.0"]
        assert pair.versions("Contoso.Pushed") == ["1.0.0", "1.1.0"]
        assert pair.nupkg("Contoso.Pushed", "1.1.0") == package("Contoso.Pushed", "1.1.0")

    def test_unlisting_and_relisting(self, pair: Pair, beyond: Workplace) -> None:
        """
        An unlisted version is not found, but is still restored by its version.
        """
        pair.push("Contoso.Hiding", "1.0.0", "1.1.0")
        assert shown(beyond, "Contoso.Hiding") == ["1.0.0", "1.1.0"]
        pair.act("DELETE", "Contoso.Hiding/1.1.0")
        assert shown(beyond, "Contoso.Hiding") == found(pair, "Contoso.Hiding") == ["1.0.0"]
        project = beyond.project("exact", ("Contoso.Hiding", "[1.1.0]"), audit=False)
        beyond.dotnet("restore", cwd=project).must_succeed()
        assert (beyond.packages / "contoso.hiding" / "1.1.0").is_dir()

        pair.act("POST", "Contoso.Hiding/1.1.0")
        assert shown(beyond, "Contoso.Hiding") == found(pair, "Contoso.Hiding") == ["1.0.0", "1.1.0"]

    def test_a_deprecation(self, pair: Pair, beyond: Workplace) -> None:
        pair.push("Contoso.Ending", "1.0.0")
        project = beyond.project("ending", ("Contoso.Ending", "1.0.0"), audit=False)
        beyond.dotnet("restore", cwd=project).must_succeed()
        report = ("list", "package", "--deprecated")
        assert "> Contoso.Ending" not in beyond.dotnet(*report, cwd=project).must_succeed().output
        body = b"versions=1.0.0&isLegacy=true&alternatePackageId=Contoso.Coming"
        pair.act("PUT", "Contoso.Ending/deprecations", body=body)

        shutil.rmtree(beyond.home / "http")
        output = beyond.dotnet(*report, cwd=project).must_succeed().output
        assert re.search(r"> Contoso\.Ending +1\.0\.0 +1\.0\.0 +Legacy +Contoso\.Coming", output), output

    def test_a_deletion_for_good(self, pair: Pair, beyond: Workplace) -> None:
        """
        It is not found anywhere. It can still be restored from the second, so that locked builds keep working.
        """
        pair.push("Contoso.Leaked", "1.0.0", "1.1.0", "1.2.0")
        assert shown(beyond, "Contoso.Leaked") == pair.versions("Contoso.Leaked") == ["1.0.0", "1.1.0", "1.2.0"]
        kept = pair.nupkg("Contoso.Leaked", "1.1.0")
        for version in ("1.1.0", "1.2.0"):
            pair.act("DELETE", f"Contoso.Leaked/{version}?Type=HardDelete", key=pair.administrators)

        assert shown(beyond, "Contoso.Leaked") == found(pair, "Contoso.Leaked") == ["1.0.0"]
        assert pair.versions("Contoso.Leaked") == ["1.0.0"]
        assert pair.nupkg("Contoso.Leaked", "1.1.0") == kept
        with pytest.raises(urllib.error.HTTPError, match="404"):
            pair.nupkg("Contoso.Leaked", "1.2.0")
