"""GET the repository signatures of the feed, and the certificates they name."""

import re

from aiohttp import web

from nugetproxy.errors import DocumentNotFound
from nugetproxy.protocol.v3.signatures import write_repository_signatures
from nugetproxy.web.answers.responses import content, document
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import feed, links, origin, stem, unknown_document
from nugetproxy.web.requests.keys import SERVICES

# 4.9.0 is a type that clients support but no server publishes.
_VERSIONS = ("4.7.0", "4.9.0", "5.0.0")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


async def repository_signatures(request: web.Request) -> web.StreamResponse:
    version = request.match_info["version"]
    if version not in _VERSIONS or request.match_info["file"].lower() != "index.json":
        raise unknown_document(request)
    if origin(request).scheme != "https":
        # Clients reject http URLs in this document (repository-signatures-resource).
        raise DocumentNotFound("repository signatures are only offered over https")
    # The same for everybody: a client that is anonymous now may authenticate for the next package, which is hosted
    # here, and has already read this by then.
    answer = await request.app[SERVICES].feed.signatures()
    body = write_repository_signatures(answer.value, links(request), version)
    return await document(request, body, answer.provenance, Resource.SIGNATURES)


async def certificate(request: web.Request) -> web.StreamResponse:
    fingerprint = stem(request, "file", ".crt").lower()
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise unknown_document(request)
    answer = await feed(request).certificate(fingerprint)
    return await content(request, answer.value, answer.provenance, Resource.CERTIFICATE)
