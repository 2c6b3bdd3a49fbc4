"""Reads V2 responses as a client does."""

from dataclasses import dataclass
from typing import Any

from lxml import etree
from yarl import URL

from tests.web.serving import Client

SPACES = {
    "a": "http://www.w3.org/2005/Atom",
    "d": "http://schemas.microsoft.com/ado/2007/08/dataservices",
    "m": "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata",
}


@dataclass
class ReadFeed:
    """A feed, or an entry as a feed of one."""

    status: int
    tree: Any

    @property
    def entries(self) -> list[str]:
        """ "Id Version" of each entry."""
        return [f"{self._one(e, 'd:Id')} {self._one(e, 'd:NormalizedVersion')}" for e in self._entries]

    @property
    def count(self) -> int | None:
        found = self.tree.xpath("m:count/text()", namespaces=SPACES)
        return int(found[0]) if found else None

    @property
    def next_page(self) -> str | None:
        found = self.tree.xpath("a:link[@rel='next']/@href", namespaces=SPACES)
        return str(found[0]) if found else None

    def values(self, name: str) -> list[str]:
        return [self._one(entry, f"d:{name}") for entry in self._entries]

    @property
    def _entries(self) -> Any:
        return self.tree.xpath("self::a:entry | a:entry", namespaces=SPACES)

    @staticmethod
    def _one(entry: Any, path: str) -> str:
        (element,) = entry.xpath(f"m:properties/{path}", namespaces=SPACES)
        return element.text or ""


async def read(client: Client, path: str, **headers: str) -> ReadFeed:
    """GET `path`, a raw target, which must be a V2 document."""
    async with client.get(URL(path, encoded=True), headers=headers) as answer:
        body = await answer.read()
        assert answer.status == 200, (answer.status, answer.reason)
        return ReadFeed(answer.status, etree.fromstring(body))


async def text(client: Client, path: str) -> str:
    async with client.get(URL(path, encoded=True)) as answer:
        assert answer.status == 200, (answer.status, answer.reason)
        return await answer.text()


async def all_pages(client: Client, path: str) -> list[str]:
    """The entries of a feed and of all pages that its next links lead to."""
    entries: list[str] = []
    seen: set[str] = set()
    following: str | None = path
    while following is not None:
        assert following not in seen, "a next link repeats"
        seen.add(following)
        page = await read(client, following)
        entries += page.entries
        link = page.next_page
        following = None if link is None else link[link.index("/api/v2") :]
    return entries
