"""A second nugetproxy mirrors the first: what is hosted there is mirrored here, and its catalog can be followed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.kit import Workplace
from tests.private import Accounts, package, push, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nuget_org() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def first(private: Server) -> Server:
    return private


@pytest.fixture
def server(tmp_path: Path, first: Server) -> Iterator[Server]:
    """The second."""
    with Server(tmp_path / "second", upstream=first.url) as running:
        yield running


@dataclass
class Follower:
    """Reads a catalog as its documentation says: what is newer than a cursor, oldest first."""

    server: Server
    cursor: str = ""
    requests: list[str] = field(default_factory=list)

    def news(self) -> list[dict[str, Any]]:
        """The leaves of the events since the last time."""
        index = self._read(self._catalog())
        pages = [self._read(page["@id"]) for page in index["items"] if page["commitTimeStamp"] > self.cursor]
        items = [item for page in pages for item in page["items"] if item["commitTimeStamp"] > self.cursor]
        items.sort(key=lambda item: str(item["commitTimeStamp"]))
        if items:
            self.cursor = str(items[-1]["commitTimeStamp"])
        return [self._read(item["@id"]) for item in items]

    def _catalog(self) -> str:
        resources = self._read(self.server.url)["resources"]
        return next(str(each["@id"]) for each in resources if each["@type"] == "Catalog/3.0.0")

    def _read(self, url: str) -> dict[str, Any]:
        self.requests.append(url)
        return dict(json.loads(self.server.get(url.removeprefix(self.server.base))))


def test_restore_through_it(first: Server, workplace: Workplace, key: str) -> None:
    """
    Private and public packages together, two servers away, and again when the first is gone.
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


def test_the_catalog_is_followed_with_a_cursor(first: Server, key: str) -> None:
    """
    Each act is seen once, in its order, and nothing is read twice.
    """
    follower = Follower(first)
    follower.news()
    push(first, key, package("Contoso.Followed"), package("Contoso.Followed", "1.1.0"))
    seen = [(leaf["id"], leaf["version"], leaf["listed"]) for leaf in follower.news()]
    assert seen == [("Contoso.Followed", "1.0.0", True), ("Contoso.Followed", "1.1.0", True)]

    assert send(first, "DELETE", "/api/v2/package/Contoso.Followed/1.0.0", key=key).status == 204
    (leaf,) = follower.news()
    assert (leaf["version"], leaf["listed"], leaf["published"][:4]) == ("1.0.0", False, "1900")

    assert send(first, "POST", "/api/v2/package/Contoso.Followed/1.0.0", key=key).status == 200
    (leaf,) = follower.news()
    assert (leaf["version"], leaf["listed"]) == ("1.0.0", True)
    assert follower.news() == []


def test_a_deletion_for_good_is_in_the_catalog(first: Server, accounts: Accounts) -> None:
    """
    A mirror that follows learns that it must forget a version.
    """
    accounts.run("user", "add", "root", "--admin")
    key = accounts.add_key("root", "root")
    follower = Follower(first)
    push(first, key, package("Contoso.Leaked"))
    follower.news()
    path = "/api/v2/package/Contoso.Leaked/1.0.0?Type=HardDelete"
    assert send(first, "DELETE", path, key=key).status == 204

    (leaf,) = follower.news()
    assert "PackageDelete" in leaf["@type"]
    assert (leaf["id"].lower(), leaf["version"]) == ("contoso.leaked", "1.0.0")
