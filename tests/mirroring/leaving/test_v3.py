"""A V3 feed over real sockets: which packages are found, and what is known of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import DocumentAbsent, TooLarge, UpstreamError
from nugetproxy.feeds.offers import FileKind, Offer, Unusable
from nugetproxy.mirroring.leaving.opening import opened_feed
from nugetproxy.storage.spool import MemoryBudget, SpoolFolder
from tests.fakes.catalog import FakeCatalog
from tests.fakes.gallery import Document
from tests.fakes.upstream import FakeUpstream


async def offered(upstream: FakeUpstream, covers: Callable[[str], bool] = lambda _: True, **more: Any) -> list[Any]:
    settings = UpstreamSettings(service_index=upstream.url)
    async with opened_feed(settings, user_agent="test", environ={}, covers=covers, **more) as source:
        return [offer async for offer in source.offers()]


def found(offers: list[Offer | Unusable]) -> list[str]:
    return sorted(str(offer.identity) for offer in offers if isinstance(offer, Offer))


@pytest.fixture
def gallery(upstream: FakeUpstream) -> FakeUpstream:
    """Contoso.Utils 1.0.0 and 2.0.0, the first unlisted; Contoso.Hidden, unlisted."""
    for package_id, version in (("Contoso.Utils", "1.0.0"), ("Contoso.Utils", "2.0.0"), ("Contoso.Hidden", "1.0.0")):
        upstream.add_package(package_id, version)
    upstream.gallery.change("Contoso.Utils", "1.0.0", listed=False)
    upstream.gallery.change("Contoso.Hidden", "1.0.0", listed=False)
    return upstream


async def test_without_a_catalog_the_search_names_the_ids(gallery: FakeUpstream):
    offers = await offered(gallery)
    assert found(offers) == ["Contoso.Utils 1.0.0", "Contoso.Utils 2.0.0"], "unlisted versions of an id that it finds"
    history = {str(offer.identity.version): offer.history for offer in offers}
    assert [history[version].listed for version in ("1.0.0", "2.0.0")] == [False, True]
    assert [history[version].published for version in ("1.0.0", "2.0.0")] == [None, 1_577_934_245_678_000]
    assert found(await offered(gallery, named_ids=["contoso.hidden"])) == [
        "Contoso.Utils 1.0.0", "Contoso.Utils 2.0.0", "contoso.hidden 1.0.0",
    ]  # fmt: skip


async def test_the_catalog_names_every_id(gallery: FakeUpstream):
    """
    Also one that no search shows, and when an unlisted version was published; not what was deleted.
    """
    catalog = FakeCatalog(gallery.base)
    hidden = catalog.add(1_600_000_000, "Contoso.Hidden")
    catalog.add(1_600_000_001, "Contoso.Gone")
    catalog.add(1_600_000_009, "Contoso.Gone", is_delete=True)
    leaf = {
        "id": "Contoso.Hidden", "version": "1.0.0", "published": "1900-01-01T00:00:00Z",
        "created": "2020-01-02T03:04:05.678Z", "packageHash": "abc=", "packageHashAlgorithm": "SHA512",
        "packageSize": 77,
    }  # fmt: skip
    extra = gallery.gallery.extra
    extra["/v3/catalog0/index.json"] = Document(catalog.index())
    extra["/v3/catalog0/page0.json"] = Document(catalog.page(0))
    extra[f"/v3/catalog0/data/x/{hidden.name}"] = Document(json.dumps(leaf).encode())
    [offer] = await offered(gallery)
    assert (str(offer.identity), offer.size, offer.sha512) == ("Contoso.Hidden 1.0.0", 77, "abc=")
    assert (offer.history.listed, offer.history.published) == (False, 1_577_934_245_678_000)
    extra[f"/v3/catalog0/data/x/{hidden.name}"] = Document(b"<html>")
    assert [each.history.published for each in await offered(gallery)] == [None], "a leaf is no more than a help"


async def test_ids_that_are_not_wanted_are_not_asked_for(gallery: FakeUpstream):
    gallery.add_package("Other", "1.0.0")
    offers = await offered(gallery, lambda lower_id: lower_id != "other")
    assert [offer for offer in offers if isinstance(offer, Unusable)] == [
        Unusable("Other", "its id is not selected", is_loss=False)
    ]
    assert gallery.recorded("*/other/*") == []


async def test_a_search_in_pages_of_its_own_size(gallery: FakeUpstream):
    ids = [f"Contoso.Id{number}" for number in range(7)]
    for each in ids:
        gallery.add_package(each, "1.0.0")
    rows = [{"id": each, "version": "1.0.0", "versions": [{"version": "1.0", "downloads": 5}]} for each in ids]

    def page(params: dict[str, str]) -> dict[str, Any]:
        skip = int(params["skip"])
        return {"totalHits": 0, "data": rows[skip : skip + 3]}

    gallery.gallery._search = page  # type: ignore[method-assign]
    offers = await offered(gallery)
    assert found(offers) == [f"{each} 1.0.0" for each in ids]
    assert {offer.history.downloads for offer in offers} == {5}


async def test_an_id_with_more_versions_than_fit_into_its_index(gallery: FakeUpstream):
    for number in range(128):
        gallery.add_package("Contoso.Paged", f"1.0.{number}", published="2021-02-03T04:05:06Z")
    offers = await offered(gallery, lambda lower_id: lower_id == "contoso.paged")
    known = [offer for offer in offers if isinstance(offer, Offer)]
    assert len({offer.identity for offer in known}) == 128
    assert {offer.history.published for offer in known} == {1_612_325_106_000_000}


async def test_an_id_that_cannot_be_read_is_reported(gallery: FakeUpstream):
    gallery.gallery.extra["/v3/registration5-gz-semver2/contoso.utils/index.json"] = Document(b"<html>")
    [unusable] = await offered(gallery)
    assert (unusable.place, unusable.is_loss) == ("Contoso.Utils", True)
    assert "unreadable registration index" in unusable.why


async def test_a_deprecation(gallery: FakeUpstream):
    stated = {"reasons": ["Legacy"], "message": "Old.", "alternatePackage": {"id": "Contoso.New", "range": "*"}}
    gallery.gallery.change("Contoso.Utils", "2.0.0", deprecation=stated)
    said = {offer.identity.lower_version: offer.history.deprecation for offer in await offered(gallery)}
    assert said["1.0.0"] is None
    assert said["2.0.0"].as_dict() == {"reasons": ["Legacy"], "message": "Old.", "alternate": ["Contoso.New", "*"]}


async def test_symbols_are_looked_for_where_they_are_pushed_to(gallery: FakeUpstream):
    gallery.gallery.resources.append(("SymbolPackagePublish/4.9.0", f"{gallery.base}/api/v2/symbolpackage"))
    offers = [offer for offer in await offered(gallery, symbols=True) if offer.kind is FileKind.SYMBOLS]
    assert [offer.place for offer in offers] == [
        f"{gallery.base}/api/v2/symbolpackage/Contoso.Utils/{version}" for version in ("1.0.0", "2.0.0")
    ]


async def test_what_is_no_feed(upstream: FakeUpstream):
    upstream.gallery.extra["/v3/index.json"] = Document(b'{"version": "3.0.0", "resources": []}')
    with pytest.raises(UpstreamError, match="it lists neither packages nor registrations"):
        await offered(upstream)
    upstream.gallery.extra["/v3/index.json"] = Document(b"<html>", "text/html")
    with pytest.raises(UpstreamError, match="there is no V2 feed at"):
        await offered(upstream)


async def test_a_file_is_copied_up_to_the_limit(gallery: FakeUpstream, tmp_path: Path):
    spools = SpoolFolder(tmp_path, MemoryBudget(0))
    settings = UpstreamSettings(service_index=gallery.url)
    async with opened_feed(settings, user_agent="test", environ={}, covers=lambda _: True) as source:
        [offer, *_] = [offer async for offer in source.offers() if isinstance(offer, Offer)]
        spool = spools.create("test")
        await source.copy(offer, spool, 1_000_000)
        assert spool.size > 0
        with pytest.raises(TooLarge):
            await source.copy(offer, spools.create("test"), spool.size - 1)
        absent = replace(offer, place=f"{gallery.base}/v3-flatcontainer/no/1.0.0/no.1.0.0.nupkg")
        with pytest.raises(DocumentAbsent):
            await source.copy(absent, spools.create("test"), 10)
        with pytest.raises(UpstreamError, match="not an allowed host"):
            await source.copy(replace(offer, place="http://127.0.0.2/a.nupkg"), spools.create("test"), 10)
