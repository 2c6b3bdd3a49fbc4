"""The stylesheet, the script and the images of the pages.

Their names contain a hash of their contents, so browsers keep them for good, and a new version is seen immediately.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from aiohttp import web

from nugetproxy.httpcache.outcome import OWN
from nugetproxy.web.answers.responses import document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import unknown_document

_TYPES: Final = {
    "mark.svg": "image/svg+xml",
    "package.svg": "image/svg+xml",
    "face.css": "text/css; charset=utf-8",
    "face.js": "text/javascript; charset=utf-8",
}
_YEAR: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    content_type: str


def _loaded() -> dict[str, tuple[str, _Asset]]:
    found: dict[str, tuple[str, _Asset]] = {}
    for name, content_type in _TYPES.items():
        body = files(__package__).joinpath("static", name).read_bytes()
        for other, (hashed, _) in found.items():  # the stylesheet names images
            body = body.replace(f'url("{other}")'.encode(), f'url("{hashed}")'.encode())
        stem, _, ending = name.rpartition(".")
        hashed = f"{stem}.{hashlib.blake2b(body, digest_size=6).hexdigest()}.{ending}"
        found[name] = hashed, _Asset(body, content_type)
    return found


_ASSETS: Final = _loaded()
_BY_HASHED_NAME: Final = dict(_ASSETS.values())


def hashed_name(name: str) -> str:
    """The name under which a file of `static/` is served."""
    return _ASSETS[name][0]


async def asset(request: web.Request) -> web.StreamResponse:
    """One file, for a year."""
    found = _BY_HASHED_NAME.get(request.match_info["file"])
    if found is None:
        raise unknown_document(request)
    cache = f"public, max-age={_YEAR}, immutable"
    return await document(request, found.body, OWN, Resource.ASSET, found.content_type, holds_links=False, cache=cache)
