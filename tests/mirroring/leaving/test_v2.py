"""Paging through V2 feeds as servers of different ages write them."""

from collections.abc import Callable
from typing import Any

import pytest

from nugetproxy.errors import DocumentAbsent, UnreadableDocument, UpstreamNonsense
from nugetproxy.feeds.offers import Offer, Unusable
from nugetproxy.mirroring.leaving.v2 import V2Source
from nugetproxy.protocol.v2.feed_reader import read_feed

ROOT = "https://old.example.com/nuget/"
HASH = "A" * 86 + "=="


def entry(version: str, package_id: str = "Contoso.Utils", more: str = "", src: str = "") -> str:
    src = src or f"https://old.example.com/api/v2/package/{package_id}/{version}"
    return (
        f'<entry><title>{package_id}</title><content type="application/zip" src="{src}"/><m:properties>'
        f"<d:Version>{version}</d:Version>{more}</m:properties></entry>"
    )


def feed(*entries: str, following: str = "") -> bytes:
    link = f'<link rel="next" href="{following}"/>' if following else ""
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
        f'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">{"".join(entries)}{link}</feed>'
    ).encode()


class Pages:
    """In place of a `Reading`. `asked` are the URLs below ROOT."""

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self.client = self
        self.name = "old"

    async def document(self, url: str, read: Callable[[bytes], Any]) -> Any:
        assert url.startswith(ROOT)
        self.asked.append(url.removeprefix(ROOT))
        body = self._answer(self.asked[-1])
        if body is None:
            raise DocumentAbsent(url)
        return read(body)


async def offered(pages: Pages, covers: Callable[[str], bool] = lambda _: True) -> list[Offer | Unusable]:
    return [offer async for offer in V2Source(pages, ROOT[:-1], covers).offers()]  # type: ignore[arg-type]


FIRST = "Packages()?semVerLevel=2.0.0"


async def test_links_to_further_pages_are_followed():
    documents = {
        FIRST: feed(entry("1.0.0"), following=f"{ROOT}Packages()?$skiptoken='a','1.0.0'"),
        "Packages()?$skiptoken='a','1.0.0'": feed(entry("2.0.0"), following="Packages?page=3"),
        "Packages?page=3": feed(entry("3.0.0")),
        f"{FIRST}&$skip=3": feed(),
    }
    pages = Pages(documents.get)
    assert [str(offer.identity) for offer in await offered(pages) if isinstance(offer, Offer)] == [
        "Contoso.Utils 1.0.0", "Contoso.Utils 2.0.0", "Contoso.Utils 3.0.0",
    ]  # fmt: skip
    assert pages.asked == list(documents)


async def test_without_links_it_skips_what_it_has():
    versions = [f"{number}.0.0" for number in range(25)]

    def answer(url: str) -> bytes:
        skip = int(url.partition("$skip=")[2] or 0)
        return feed(*(entry(version) for version in versions[skip : skip + 10]))

    assert len(await offered(pages := Pages(answer))) == 25
    assert len(pages.asked) == 4


async def test_a_server_that_always_sends_the_same_page():
    assert len(await offered(pages := Pages(lambda _: feed(entry("1.0.0"), entry("2.0.0"))))) == 2
    assert len(pages.asked) == 2


async def test_a_page_of_nothing_that_clients_could_request():
    documents = {FIRST: feed(entry("x"), following="Packages?p=2"), "Packages?p=2": feed(entry("1.0.0"))}
    assert len(await offered(Pages(lambda url: documents.get(url, feed())))) == 1


async def test_what_is_said_about_a_version():
    said = (
        "<d:Id>Contoso.Utils</d:Id><d:Published>1900-01-01T00:00:00</d:Published><d:Created>2019-05-06T07:08:09.5"
        f"</d:Created><d:VersionDownloadCount>7</d:VersionDownloadCount><d:PackageSize>123</d:PackageSize>"
        f"<d:PackageHash>{HASH}</d:PackageHash><d:PackageHashAlgorithm>SHA512</d:PackageHashAlgorithm>"
    )
    [offer] = await offered(Pages({FIRST: feed(entry("1.0", more=said)), f"{FIRST}&$skip=1": feed()}.get))
    assert isinstance(offer, Offer)
    assert (str(offer.identity), offer.size, offer.sha512) == ("Contoso.Utils 1.0.0", 123, HASH)
    history = offer.history
    assert (history.listed, history.downloads, history.published) == (False, 7, 1_557_126_489_500_000)


@pytest.mark.parametrize(
    ("more", "listed"),
    [
        ("", True),
        ("<d:Listed>false</d:Listed>", False),
        ("<d:Listed>true</d:Listed><d:Published>1900-01-01T00:00:00</d:Published>", True),
        ("<d:Published>2019-01-01T00:00:00</d:Published>", True),
    ],
)
def test_listing(more, listed):
    assert read_feed(feed(entry("1.0.0", more=more))).entries[0].listed is listed


async def test_the_address_of_a_package():
    """
    Relative to its page, or by convention if the feed names none.
    """
    bare = entry("1.0.0+build").replace("src=", "x=")
    documents = {FIRST: feed(entry("2.0.0", src="../files/a.nupkg"), bare), f"{FIRST}&$skip=2": feed()}
    assert [offer.place for offer in await offered(Pages(documents.get))] == [
        "https://old.example.com/files/a.nupkg",
        f"{ROOT}package/Contoso.Utils/1.0.0",
    ]


async def test_ids_that_are_not_wanted_are_named_once():
    page = feed(entry("1.0.0"), entry("1.0.0", "Other"), entry("2.0.0", "Other"))
    found = await offered(Pages({FIRST: page, f"{FIRST}&$skip=3": feed()}.get), lambda lower: lower != "other")
    assert [(type(each).__name__, each.place) for each in found][1] == ("Unusable", "Other")
    assert len(found) == 2


async def test_no_feed_at_all():
    with pytest.raises(UpstreamNonsense, match=r"there is no V2 feed at https://old\.example\.com/nuget/"):
        await offered(Pages(lambda _: None))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"<feed>", b"<html/>", b'<!DOCTYPE feed [<!ENTITY a "b">]><feed>&a;</feed>',
        b'<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed/>', b"<feed>" * 300 + b"</feed>" * 300,
    ],
)  # fmt: skip
def test_other_documents_are_refused(body):
    with pytest.raises(UnreadableDocument):
        read_feed(body)
