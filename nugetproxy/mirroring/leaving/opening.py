"""Which kind of feed is at a URL: V3 if there is a service index, else V2."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import DocumentAbsent, UnreadableDocument, UpstreamNonsense
from nugetproxy.mirroring.leaving.reading import Reading
from nugetproxy.mirroring.leaving.v2 import V2Source
from nugetproxy.mirroring.leaving.v3 import V3Source
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.protocol.documents import is_absolute_url, read_object
from nugetproxy.protocol.v3.service_index import UpstreamEndpoints, check_service_index

_SYMBOLS: Final = "symbolpackagepublish"


@asynccontextmanager
async def opened_feed(
    settings: UpstreamSettings, *, user_agent: str, environ: Mapping[str, str], covers: Callable[[str], bool],
    named_ids: Iterable[str] = (), symbols: bool = False,
) -> AsyncIterator[V3Source | V2Source]:  # fmt: skip
    """The feed at `settings.service_index`, which may also be the root of a V2 feed. `symbols`: look for them too.

    Raises:
        ConfigError: a file that the settings name cannot be read.
        UpstreamError: there is no feed, or it cannot be asked.
    """
    client = UpstreamClient(settings, user_agent=user_agent, environ=environ)
    await client.start()
    try:
        url, reading = settings.service_index, Reading(client)
        body = await _first_document(reading, url)
        try:
            # A catalog that leaves out what the server only mirrors names exactly what has to move.
            endpoints = check_service_index(body, partial=True)
        except UnreadableDocument as error:
            if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
                raise UpstreamNonsense(client.name, f"{url}: {error}") from error
            yield V2Source(reading, url, covers)
            return
        for each in _resources(endpoints):
            client.allow(each)
        where = _symbols_url(body) if symbols else ""
        if where:
            client.allow(where)
        yield V3Source(reading, url, endpoints, covers, named_ids, symbols=where)
    finally:
        await client.close()


async def _first_document(reading: Reading, url: str) -> bytes:
    """The service index, or what a V2 feed answers at its root, which need not be anything."""
    try:
        return await reading.body(url)
    except DocumentAbsent:
        if url.partition("?")[0].endswith(".json"):
            raise UpstreamNonsense(reading.client.name, f"there is no service index at {url}") from None
        return b""


def _resources(endpoints: UpstreamEndpoints) -> Iterable[str]:
    named = (endpoints.flat_container, endpoints.registrations, endpoints.catalog, *endpoints.search)
    return (url for url in named if url)


def _symbols_url(service_index: bytes) -> str:
    """Where symbols are pushed to: the servers that hand them out do so below the same URL."""
    entries = read_object(service_index, "service index").get("resources")
    for entry in entries if isinstance(entries, list) else ():
        types: Any = entry.get("@type") if isinstance(entry, dict) else None
        names = types if isinstance(types, list) else [types]
        if any(isinstance(name, str) and name.lower().startswith(_SYMBOLS) for name in names):
            url = entry.get("@id")
            return str(url).rstrip("/") if is_absolute_url(url) else ""
    return ""
