"""A feed as the source: what it sends is what it states, and it is not asked for more than it answers."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from nugetproxy.errors import NugetproxyError, UpstreamUnavailable
from nugetproxy.feeds.offers import Offer, Unusable
from nugetproxy.nuget.identity import PackageIdentity
from nugetproxy.storage.spool import Spool
from tests.builders import make_nupkg
from tests.hosting.moving_in.desk import Desk

ONE = make_nupkg("Contoso.Utils", "1.0.0")
TWO = make_nupkg("Contoso.Utils", "2.0.0")


class Feed:
    """A source elsewhere, with these packages; `error` is raised instead of sending one."""

    name = "https://old.example.com/v3/index.json"

    def __init__(self, *packages: tuple[Offer, bytes]) -> None:
        self._packages = {offer.place: (offer, content) for offer, content in packages}
        self.error: NugetproxyError | None = None
        self.asked: list[str] = []

    async def offers(self) -> AsyncIterator[Offer | Unusable]:
        for offer, _ in self._packages.values():
            yield offer

    def local(self, _: Offer) -> Path | None:
        return None

    async def copy(self, offer: Offer, spool: Spool, limit: int) -> None:
        self.asked.append(offer.place)
        if self.error is not None:
            raise self.error
        spool.append(self._packages[offer.place][1])


def offered(
    version: str, content: bytes, *, stated: bytes | None = None, package_id: str = "Contoso.Utils"
) -> tuple[Offer, bytes]:
    sha512 = "" if stated is None else base64.b64encode(hashlib.sha512(stated).digest()).decode()
    identity = PackageIdentity.parse(package_id, version)
    return Offer(f"https://old.example.com/{package_id}/{version}", identity=identity, sha512=sha512), content


async def test_what_a_feed_sends_must_be_what_it_states(desk: Desk):
    feed = Feed(
        offered("1.0.0", ONE, stated=ONE), offered("2.0.0", TWO, stated=ONE), offered("3.0.0", TWO),
        offered("1.0.0", b"<html>", package_id="Contoso.Other"),
    )  # fmt: skip
    report = await desk.move_in(feed)
    assert [(row.package and str(row.package), row.kind) for row in report.rows] == [
        ("Contoso.Other 1.0.0", "invalid"), ("Contoso.Utils 1.0.0", ""), ("Contoso.Utils 2.0.0", "damaged"),
        ("Contoso.Utils 3.0.0", "another_package"),
    ]  # fmt: skip
    assert (desk.here(), desk.house.leftovers()) == (["contoso.utils 1.0.0"], [])
    feed.asked.clear()
    again = await desk.move_in(feed)
    assert again.rows[1].why == "it is here already"
    assert "https://old.example.com/Contoso.Utils/1.0.0" not in feed.asked, "it is not fetched again"
    [row] = (await desk.move_in(Feed(offered("1.0.0", ONE)))).rows
    assert row.why == "it is here already; the source states no hash to compare"
    [row] = (await desk.move_in(Feed(offered("1.0.0", ONE, stated=TWO)))).rows
    assert row.kind == "different_bytes"


async def test_a_feed_that_stops_answering_is_not_asked_for_everything(desk: Desk):
    feed = Feed(*(offered(f"{number}.0.0", b"") for number in range(40)))
    feed.error = UpstreamUnavailable("old", "connection refused", remedy="check its address")
    report = await desk.move_in(feed, parallel=1)
    assert {row.kind for row in report.rows} == {"not_fetched"}
    assert len(feed.asked) == 10
    assert report.rows[0].why == "upstream old is unavailable: connection refused; check its address"
