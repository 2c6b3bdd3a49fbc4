"""A catalog as an upstream writes it, without the product's own writers: events in, documents by URL out.

The order of items is reversed everywhere, because it is undefined. Times are in seconds since the epoch.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Event:
    time: float
    package_id: str
    version: str
    is_delete: bool = False
    sha512: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        return f"{self.time:.0f}.{self.package_id.lower()}.{self.version}.json"


@dataclass
class FakeCatalog:
    """`pages` are lists of events: by default one page, but events may be spread over pages in any order."""

    base: str
    pages: list[list[Event]] = field(default_factory=lambda: [[]])
    salt: str = ""
    """Part of every commit id: another one is another catalog."""

    @property
    def url(self) -> str:
        return f"{self.base}/v3/catalog0/index.json"

    def add(self, time: float, package_id: str, version: str = "1.0.0", **more: Any) -> Event:
        self.pages[-1].append(Event(time, package_id, version, **more))
        return self.pages[-1][-1]

    def page_url(self, number: int) -> str:
        return f"{self.base}/v3/catalog0/page{number}.json"

    def index(self) -> bytes:
        items = [
            {"@id": self.page_url(number), "@type": "CatalogPage", "count": len(page), **self._newest(page)}
            for number, page in enumerate(self.pages)
            if page
        ]
        head = self._newest([event for page in self.pages for event in page]) if items else {}
        return json.dumps({"@id": self.url, "count": len(items), **head, "items": items[::-1]}).encode()

    def page(self, number: int) -> bytes:
        items = [
            {
                "@id": f"{self.base}/v3/catalog0/data/x/{event.name}",
                "@type": "nuget:PackageDelete" if event.is_delete else "nuget:PackageDetails",
                **self._commit(event),
                "nuget:id": event.package_id,
                "nuget:version": event.version,
            }
            for event in self.pages[number]
        ]
        head = {"@id": self.page_url(number), "count": len(items), **self._newest(self.pages[number])}
        return json.dumps({**head, "items": items[::-1]}).encode()

    def leaf(self, event: Event) -> bytes:
        return json.dumps(
            {
                "@type": ["PackageDetails", "catalog:Permalink"],
                "id": event.package_id,
                "version": event.version,
                "packageHash": event.sha512,
                "packageHashAlgorithm": "SHA512",
                "packageSize": event.size,
            }
        ).encode()

    def documents(self) -> dict[str, bytes]:
        """All of it, by URL."""
        found = {self.url: self.index()}
        for number, page in enumerate(self.pages):
            if page:
                found[self.page_url(number)] = self.page(number)
            for event in page:
                found[f"{self.base}/v3/catalog0/data/x/{event.name}"] = self.leaf(event)
        return found

    def _newest(self, events: list[Event]) -> dict[str, str]:
        return self._commit(max(events, key=lambda event: event.time))

    def _commit(self, event: Event) -> dict[str, str]:
        moment = datetime.fromtimestamp(int(event.time), UTC)
        return {
            "commitId": f"{self.salt}{event.time:.0f}",
            "commitTimeStamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{round(event.time % 1 * 1e7):07d}Z",
        }
