"""GET what other programs show: a badge with the newest version, and Atom feeds of versions and of pushes."""

import re
from typing import Final

from aiohttp import web

from nugetproxy.errors import DocumentNotFound
from nugetproxy.httpcache.outcome import OWN, Provenance
from nugetproxy.protocol.times import text_of_microseconds
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, origin, package_id
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.requests.reading import admit
from nugetproxy.web.ui.package_facts import leaves_of, newest_of, versions_of
from nugetproxy.web.ui.package_view import published_of
from nugetproxy.web.ui.pages import addresses
from nugetproxy.web.ui.rendering import render

ATOM: Final = "application/atom+xml; charset=utf-8"
SVG: Final = "image/svg+xml"
_FENCE: Final = {"Content-Security-Policy": "default-src 'none'; sandbox"}
_SHOWN: Final = 30
_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BADGE_SECONDS: Final = 300


async def badge(request: web.Request) -> web.StreamResponse:
    """An SVG with the newest version: a stable one, with `?prerelease=true` any."""
    package = package_id(request)
    versions = await versions_of(request, package)
    if not versions.visible:
        raise DocumentNotFound(f"{package} has no version that may be shown")
    answer, leaves = await leaves_of(feed(request), package, versions.visible[-_SHOWN:])
    wants_any = request.query.get("prerelease") == "true"
    newest = await newest_of(feed(request), package, versions.visible, leaves, stable=not wants_any)
    text = newest.normalized if len(newest.normalized) <= 40 else newest.normalized[:37] + "..."
    label = request.app[SERVICES].name.partition("/")[0]
    # In units of the average width of Verdana's characters at this size.
    widths = [round(len(each) * 6.7 + 12) for each in (label, text)]
    body = render(
        "badge.svg",
        {"label": label, "text": text, "left": widths[0], "right": widths[1], "is_prerelease": newest.is_prerelease},
    )
    # Badges are shown in the pages of others.
    extra = {**_FENCE, "Cross-Origin-Resource-Policy": "cross-origin"}
    return await document(
        request, body, answer.provenance, Resource.PAGE, SVG, max_age=_BADGE_SECONDS, holds_links=False, extra=extra
    )


async def versions_feed(request: web.Request) -> web.StreamResponse:
    """The newest versions of an id."""
    package = package_id(request)
    versions = await versions_of(request, package)
    if not versions.visible:
        raise DocumentNotFound(f"{package} has no version that may be shown")
    answer, leaves = await leaves_of(feed(request), package, versions.visible[-_SHOWN:])
    rows = [
        (answer.value.package_id, version.normalized, published_of(leaf) or 0.0)
        for version, leaf in sorted(leaves.items(), reverse=True)
        if leaf.listed
    ]
    return await _atom(
        request,
        f"Versions of {answer.value.package_id}",
        addresses(request).package(package.text),
        rows,
        answer.provenance,
    )


async def pushes_feed(request: web.Request) -> web.StreamResponse:
    """The most recent pushes of all packages."""
    hosting = request.app[SERVICES].hosting
    if hosting is None:
        raise DocumentNotFound("nothing is pushed to this server: it only mirrors")
    await admit(request, is_hosted=True)
    rows = [(each.id, each.version, each.pushed / 1e6) for each in await hosting.packages.recent(_SHOWN)]
    return await _atom(request, "Recent pushes", addresses(request).home(), rows, OWN)


async def _atom(
    request: web.Request, title: str, page_path: str, rows: list[tuple[str, str, float]], provenance: Provenance
) -> web.StreamResponse:
    """`rows` are id, version and time in unix seconds, newest first."""
    base, to = origin(request), addresses(request)
    host = base.base.removesuffix(to.prefix)
    entries = [
        {
            "title": _xml(f"{package_id} {version}"),
            "link": host + to.package(package_id, version),
            "updated": text_of_microseconds(round(seconds * 1e6)),
        }
        for package_id, version, seconds in rows
    ]
    body = render(
        "feed.atom",
        {
            "title": _xml(f"{title} · {request.app[SERVICES].name.partition('/')[0]}"),
            "self": host + request.path,
            "page": host + page_path,
            "updated": max((each["updated"] for each in entries), default=text_of_microseconds(0)),
            "entries": entries,
        },
    )
    return await document(request, body, provenance, Resource.PAGE, ATOM, extra=_FENCE)


def _xml(text: str) -> str:
    """Without the characters that XML cannot contain."""
    return _NO_XML.sub("�", text)
