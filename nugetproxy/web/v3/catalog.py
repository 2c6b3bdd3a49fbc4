"""GET the catalog of hosted packages: index, pages, leaves (nuget-protocol: catalog)."""

import re

from aiohttp import web

from nugetproxy.executors.slices import in_slices
from nugetproxy.feeds.base import HOSTED
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.protocol.times import ticks_in_url
from nugetproxy.protocol.v3.catalog import (
    write_catalog_deletion,
    write_catalog_details,
    write_catalog_index,
    write_catalog_page,
)
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import links, stem, unknown_document
from nugetproxy.web.v3.publish import hosting_of

_PAGE = re.compile(r"page(0|[1-9][0-9]{0,8})", re.ASCII)
_NOW = Provenance(Outcome.HIT, fresh_for=10.0, detail=HOSTED)


async def catalog_document(request: web.Request) -> web.StreamResponse:
    """The index, or one of its pages."""
    events, name = hosting_of(request).events, stem(request, "file", ".json").lower()
    if name == "index":
        body = write_catalog_index(await events.pages(), await events.times(), links(request))
        return await document(request, body, _NOW, Resource.CATALOG)
    match = _PAGE.fullmatch(name)
    items = await events.page(int(match[1])) if match else ()
    if match is None or not items:
        raise unknown_document(request)
    return await document(request, write_catalog_page(int(match[1]), items, links(request)), _NOW, Resource.CATALOG)


async def catalog_leaf(request: web.Request) -> web.StreamResponse:
    """One event: the state of a version at that time, or its deletion."""
    name, stamp = stem(request, "file", ".json").lower(), ticks_in_url(request.match_info["stamp"])
    leaf = await hosting_of(request).events.find(stamp) if stamp is not None else None
    if leaf is None or name != f"{leaf.item.lower_id}.{leaf.item.lower_version}":
        raise unknown_document(request)
    if leaf.details is None:
        body = write_catalog_deletion(leaf.item, leaf.verbatim_version, links(request))
    else:
        body = await in_slices(write_catalog_details(leaf.item, leaf.details, links(request)))
    return await document(request, body, _NOW, Resource.CATALOG)
