"""The catalog of hosted packages, followed with a cursor: no event is missed or repeated."""

import http.client
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.protocol.v3.catalog import CATALOG_PAGE_SIZE
from tests.clients.deployment import serve
from tests.private import PROTECTING, Accounts, package, push, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

PUBLISHERS = 4
ACTS = CATALOG_PAGE_SIZE // PUBLISHERS + 15
"""Per publisher: together they fill a page and start another."""


@pytest.fixture(scope="module")
def nuget_org() -> Iterator[StandIn]:
    with StandIn("--no-made") as standin:
        yield standin


@dataclass
class Follower:
    """Reads a catalog as documented: events newer than a cursor, oldest first."""

    server: Server
    cursor: str = ""
    requests: list[str] = field(default_factory=list)

    def items(self) -> list[dict[str, Any]]:
        """The events since the last call, as listed in the pages."""
        index = self._read(self._catalog())
        pages = [self._read(page["@id"]) for page in index["items"] if page["commitTimeStamp"] > self.cursor]
        items = [item for page in pages for item in page["items"] if item["commitTimeStamp"] > self.cursor]
        items.sort(key=lambda item: str(item["commitTimeStamp"]))
        if items:
            self.cursor = str(items[-1]["commitTimeStamp"])
        return items

    def news(self) -> list[dict[str, Any]]:
        """Their leaves."""
        return [self._read(item["@id"]) for item in self.items()]

    def _catalog(self) -> str:
        resources = self._read(self.server.url)["resources"]
        return next(str(each["@id"]) for each in resources if each["@type"] == "Catalog/3.0.0")

    def _read(self, url: str) -> dict[str, Any]:
        self.requests.append(url)
        return dict(json.loads(self.server.get(url.removeprefix(self.server.base))))


def test_each_act_is_seen_once_in_its_order(private: Server, key: str) -> None:
    follower = Follower(private)
    follower.news()
    push(private, key, package("Contoso.Followed"), package("Contoso.Followed", "1.1.0"))
    seen = [(leaf["id"], leaf["version"], leaf["listed"]) for leaf in follower.news()]
    assert seen == [("Contoso.Followed", "1.0.0", True), ("Contoso.Followed", "1.1.0", True)]

    assert send(private, "DELETE", "/api/v2/package/Contoso.Followed/1.0.0", key=key).status == 204
    (leaf,) = follower.news()
    assert (leaf["version"], leaf["listed"], leaf["published"][:4]) == ("1.0.0", False, "1900")

    assert send(private, "POST", "/api/v2/package/Contoso.Followed/1.0.0", key=key).status == 200
    (leaf,) = follower.news()
    assert (leaf["version"], leaf["listed"]) == ("1.0.0", True)

    body = b"versions=1.0.0&isLegacy=true&alternatePackageId=Contoso.Coming"
    path = "/api/v2/package/Contoso.Followed/deprecations"
    assert send(private, "PUT", path, key=key, body=body).status == 200
    (leaf,) = follower.news()
    assert (leaf["version"], leaf["deprecation"]["reasons"]) == ("1.0.0", ["Legacy"])
    assert follower.news() == []


def test_a_deletion_for_good_is_in_it(private: Server, accounts: Accounts) -> None:
    """
    A mirror that follows the catalog learns that a version was deleted.
    """
    accounts.run("user", "add", "root", "--admin")
    key = accounts.add_key("root", "root")
    follower = Follower(private)
    push(private, key, package("Contoso.Leaked"))
    follower.news()
    path = "/api/v2/package/Contoso.Leaked/1.0.0?Type=HardDelete"
    assert send(private, "DELETE", path, key=key).status == 204

    (leaf,) = follower.news()
    assert "PackageDelete" in leaf["@type"]
    assert (leaf["id"].lower(), leaf["version"]) == ("contoso.leaked", "1.0.0")


@pytest.fixture
def busy(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    """Two processes serve it, so that hot answers of one are outdated by acts of the other."""
    config = f"{PROTECTING}[server]\nworkers = 2\n"
    with serve(tmp_path / "busy", upstream=nuget_org.url, config=config) as running:
        yield running


def publish(server: Server, key: str, package_id: str) -> list[bool]:
    """Push a version, then unlist and relist it by turns; whether it was listed after each act."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    acts = [("PUT", "/api/v2/package/", package(package_id))]
    acts += [(("POST", "DELETE")[number % 2], f"/api/v2/package/{package_id}/1.0.0", b"") for number in range(1, ACTS)]
    try:
        for method, path, body in acts:
            connection.request(method, path, body, {"X-NuGet-ApiKey": key})
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 201, 204), answer.status
    finally:
        connection.close()
    return [method != "DELETE" for method, _, _ in acts]


def test_nothing_is_missed_while_others_publish(busy: Server, tmp_path: Path) -> None:
    """
    Four publish in parallel across the end of a page. The follower starts again from its stored cursor every time.
    """
    accounts = Accounts(busy.data)
    accounts.add_user("alice")
    key = accounts.add_key("ci", "alice")
    ids = [f"Contoso.Busy{number}" for number in range(PUBLISHERS)]
    stored = tmp_path / "cursor"
    stored.write_text("")
    seen: list[dict[str, Any]] = []
    looks = 0

    def look() -> int:
        follower = Follower(busy, stored.read_text())
        news = follower.items()
        stored.write_text(follower.cursor)
        seen.extend(news)
        return bool(news)

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        publishing = [pool.submit(publish, busy, key, each) for each in ids]
        while not all(each.done() for each in publishing):
            looks += look()
        listed = {package_id: each.result() for package_id, each in zip(ids, publishing, strict=True)}
    look()

    assert looks > 10
    stamps = [item["commitTimeStamp"] for item in seen]
    assert all(before < after for before, after in itertools.pairwise(stamps))
    assert len({item["@id"] for item in seen}) == PUBLISHERS * ACTS
    assert Follower(busy).items() == seen
    leaves = [json.loads(busy.get(item["@id"].removeprefix(busy.base))) for item in seen]
    for package_id in ids:
        assert [leaf["listed"] for leaf in leaves if leaf["id"] == package_id] == listed[package_id]
