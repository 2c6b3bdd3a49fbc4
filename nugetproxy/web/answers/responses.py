"""Documents and contents as HTTP responses: variants, validators, conditions, and what is offered to the hot table.

Handlers pass the bytes, or where the bytes are; `web/answers/transfer.py` decides how a long body is sent.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from enum import Enum
from typing import Final

from aiohttp import web

from nugetproxy.executors.threads import RENDERING
from nugetproxy.feeds.base import HOSTED, LocalFile, PackageContent, SmallContent
from nugetproxy.httpcache.conditional import (
    NotModified,
    Partial,
    Unsatisfiable,
    Verdict,
    Whole,
    evaluate,
)
from nugetproxy.httpcache.outcome import Outcome, Provenance
from nugetproxy.nuget.identity import PackageIdentity, lower_invariant
from nugetproxy.services import Services
from nugetproxy.storage.revisions import ANY, group_of
from nugetproxy.web.answers.transfer import send_bytes, send_file, send_growing
from nugetproxy.web.hot.answer import HotAnswer, HotVariant
from nugetproxy.web.http.cache_headers import cache_control, file_headers, live_headers
from nugetproxy.web.http.compression import FORM, SMALLEST, Codings, accepted
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.incoming import origin
from nugetproxy.web.requests.keys import GATE, GZIPPED, HOT, LIMITED, NOTE, SERVICES
from nugetproxy.web.requests.reading import depends_on_reader, is_for_readers

JSON: Final = "application/json"

CONTENT_MAX_AGE: Final = 3600
"""Seconds a downstream cache may keep a package. Its bytes never change, but policy or the upstream may withdraw it."""

HOT_OWN_SECONDS: Final = 5.0
"""How long a document that we generate (the service index) stays hot: what the feed offers may change."""

HOT_FILE_SECONDS: Final = 3600.0
"""How long a package stays hot before the feed is asked again whether it may be served. A missing or replaced file is
noticed sooner (`web.hot.open_files`), as are changes of hosted packages.
"""

RENEWAL_SECONDS: Final = 2.0
"""How long an answer of which we choose how long it stays hot is still sent to others while one request renews it."""

STANDING_HEADERS: Final = (("Server", "nugetproxy"), ("X-Content-Type-Options", "nosniff"))
"""Sent with every response."""

_CONDITIONS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range")

# In bytes: half a millisecond of hashing. Larger bodies are hashed in a thread, which releases the interpreter lock.
_HASHED_ON_LOOP: Final = 256 * 1024

_COMPRESSIBLE = ("application/json", "application/xml", "image/svg+xml")


class Gzip(Enum):
    """When a document is sent compressed."""

    NEGOTIATED = "when the client asks for it and it is worth it"
    PREFERRED = "unless the client refuses it, as nuget.org's gz hives do (registration-base-url-resource)"


async def document(
    request: web.Request,
    body: bytes,
    provenance: Provenance,
    resource: Resource,
    content_type: str = JSON,
    *,
    max_age: int | None = None,
    gzip: Gzip = Gzip.NEGOTIATED,
    holds_links: bool = True,
    extra: Mapping[str, str] | None = None,
    cache: str | None = None,
    may_be_hot: bool = True,
) -> web.StreamResponse:
    """A whole document as a 200, or the 304 or 412 that the request's conditions call for.

    `max_age` as in `cache_control`. `holds_links`: the bytes depend on the host name that the client used.
    `cache` replaces the Cache-Control. `may_be_hot` is False if other clients would get other bytes at this address.
    """
    note = request[NOTE]
    note.resource, note.outcome = resource, provenance.outcome
    is_compressible = gzip is Gzip.PREFERRED or (len(body) >= SMALLEST and _is_text(content_type))
    digest = _digest(body) if len(body) <= _HASHED_ON_LOOP else await RENDERING.run(_digest, body)
    standing = (
        ("Content-Type", content_type),
        ("Cache-Control", cache or cache_control(provenance, max_age, is_private=_is_private(request))),
        *((("Vary", "Accept-Encoding"),) if is_compressible else ()),
        *((extra or {}).items()),
    )
    is_zipped = is_compressible and _wants_gzip(request, gzip)
    # The two representations differ in bytes, so their strong tags must too (RFC 9110 section 8.8.3.3).
    etag = f'"{digest}-{FORM}"' if is_zipped else f'"{digest}"'
    verdict = _verdict(request, etag=etag, modified=None, size=None)
    is_offered = may_be_hot and isinstance(verdict, Whole | NotModified) and _is_hot_worthy(request, provenance)
    sent, headers = body, standing
    if is_zipped and (is_offered or isinstance(verdict, Whole)):
        sent, headers = await request.app[GZIPPED].of(digest, body), (*standing, ("Content-Encoding", "gzip"))
    if is_offered:
        # Only the form that was requested: the next request for the other one adds it.
        form = HotVariant((*headers, ("ETag", etag), *STANDING_HEADERS), sent)
        await offer_hot(
            request,
            resource,
            provenance,
            None if is_zipped else form,
            form if is_zipped else None,
            holds_links=holds_links,
            is_negotiated=is_compressible,
            gzip_unasked=gzip is Gzip.PREFERRED,
            digest=digest,
        )
    if not isinstance(verdict, Whole):
        return _without_body(verdict, (("ETag", etag), *standing[1:], *live_headers(provenance)))
    return await send_bytes(request, sent, 200, {**dict(headers), "ETag": etag, **dict(live_headers(provenance))})


async def content(
    request: web.Request,
    found: PackageContent,
    provenance: Provenance,
    resource: Resource,
    *,
    max_age: int = CONTENT_MAX_AGE,
    may_be_hot: bool = True,
) -> web.StreamResponse:
    """A package or a part of it, sent in the way that suits where its bytes are.

    `max_age` is in seconds and applies to files. `may_be_hot` is False when the URL alone does not identify the file.

    Raises:
        StorageUnavailable: the file does not match what the feed said.
        UpstreamError: a growing content failed before its first byte. Later failures cut the connection.
    """
    note = request[NOTE]
    note.resource, note.outcome = resource, provenance.outcome
    match found:
        case LocalFile():
            return await _local_file(request, found, provenance, resource, max_age, may_be_hot=may_be_hot)
        case SmallContent():
            # Icons and readmes are untrusted: opened in a browser, they must not run as a page of ours.
            fence = {"Content-Security-Policy": "default-src 'none'; sandbox"}
            return await document(
                request, found.body, provenance, resource, found.content_type, holds_links=False, extra=fence
            )
        case growing:
            verdict = _verdict(request, etag="", modified=None, size=growing.size)
            headers = {
                "Content-Type": growing.content_type,
                "Cache-Control": cache_control(
                    replace(provenance, fresh_for=0.0), None, is_private=_is_private(request)
                ),
                **dict(live_headers(provenance)),
            }
            if not isinstance(verdict, Whole | Partial):
                return _without_body(verdict, tuple(live_headers(provenance)))
            # Only ranges up to the end are served: the end is held back until the checks have passed, a middle is not.
            start = verdict.start if isinstance(verdict, Partial) and verdict.end == growing.size else 0
            if isinstance(verdict, Partial) and start and growing.size is not None:
                headers["Content-Range"] = verdict.content_range(growing.size)
            return await send_growing(request, growing, start, headers)


async def _local_file(
    request: web.Request, file: LocalFile, provenance: Provenance, resource: Resource, max_age: int, *, may_be_hot: bool
) -> web.StreamResponse:
    etag = f'"{file.etag}"'
    live = file_headers(provenance)
    validators = (
        ("ETag", etag),
        ("Last-Modified", formatdate(file.modified, usegmt=True)),
        ("Cache-Control", cache_control(provenance, max_age, is_private=_is_private(request))),
        ("Accept-Ranges", "bytes"),
    )
    verdict = _verdict(request, etag=etag, modified=file.modified, size=file.size)
    headers = {"Content-Type": file.content_type, **dict(validators), **dict(live)}
    if may_be_hot:
        standing = (("Content-Type", file.content_type), *validators, *STANDING_HEADERS)
        variant = HotVariant(standing, file, modified=file.modified)
        await offer_hot(request, resource, provenance, variant, None, holds_links=False, is_file=True)
    match verdict:
        case Whole():
            return await send_file(request, file, 0, file.size, 200, headers)
        case Partial(start, end):
            headers["Content-Range"] = verdict.content_range(file.size)
            return await send_file(request, file, start, end, 206, headers)
        case refusal:
            return _without_body(refusal, (*validators, *live))


async def offer_hot(
    request: web.Request,
    resource: Resource,
    provenance: Provenance,
    identity: HotVariant | None,
    gzip: HotVariant | None,
    *,
    holds_links: bool,
    is_negotiated: bool = False,
    gzip_unasked: bool = False,
    is_file: bool = False,
    digest: str = "",
) -> None:
    """Let the hot table keep this response for as long as it is valid. The parameters are those of `HotAnswer`."""
    table = request.app[HOT]
    if table is None or not _is_hot_worthy(request, provenance):
        return
    asked = origin(request)
    if holds_links and asked.host_key is not None and asked.is_forwarded:
        return  # its links depend on headers that are not part of the table's keys
    if is_file:
        lasts = HOT_FILE_SECONDS
    elif provenance.outcome is Outcome.OWN:
        lasts = HOT_OWN_SECONDS
    else:
        lasts = provenance.fresh_for
    is_our_choice = (is_file or provenance.outcome is Outcome.OWN) and lasts + RENEWAL_SECONDS < provenance.valid_for
    lasts = min(lasts, provenance.valid_for)
    if lasts <= 0:
        return
    is_news = provenance.outcome in (Outcome.MISS, Outcome.REFRESHED)  # the next client gets it from the cache
    shown = replace(provenance, outcome=Outcome.HIT, detail="") if is_news else provenance
    if depends_on_reader(request, resource):
        return
    expires = time.monotonic() + lasts
    # An id that becomes ours after this makes the offer void: the table compares with what was seen when it was asked.
    needs_reader = await is_for_readers(request, provenance)
    package_id = request.match_info.get("id")
    count = _count(request, provenance, identity)
    answer = HotAnswer(
        resource.value,
        shown,
        identity,
        gzip,
        is_negotiated,
        needs_reader=needs_reader,
        count=count,
        counted=counting(request.app[SERVICES], count),
        gzip_unasked=gzip_unasked,
        digest=digest,
        has_ttl=not is_file,
        expires=expires,
        grace=RENEWAL_SECONDS if is_our_choice else 0.0,
        group=ANY if package_id is None else group_of(lower_invariant(package_id)),
    )
    table.offer(request.raw_path, asked.host_key if holds_links else None, answer, request[NOTE].seen)


def count_download(request: web.Request, package: PackageIdentity, provenance: Provenance) -> None:
    """Count a download of a hosted package. Downloads of mirrored ones are not counted."""
    hosting = request.app[SERVICES].hosting
    if hosting is not None and provenance.detail == HOSTED and request.method == "GET":
        hosting.statistics.count(package)


def counting(services: Services, count: str) -> Callable[[], None] | None:
    """Notes the use of a package: of a hosted one, "id/version", as a download; of a mirrored one,
    "upstream/id/version", for eviction. None for other texts.
    """
    *upstream, package_id, version = count.split("/") if count else ("", "")
    if not version:
        return None
    package = PackageIdentity.parse(package_id, version)
    if upstream:
        care = services.care
        return None if care is None else lambda: care.last_use.note(upstream[0], package)
    hosting = services.hosting
    return None if hosting is None else lambda: hosting.statistics.count(package)


def _count(request: web.Request, provenance: Provenance, form: HotVariant | None) -> str:
    """The text for `counting` that stands for the file of this response; empty if it is none."""
    file = form.body if form is not None else None
    version = request.match_info.get("version", "")
    if not isinstance(file, LocalFile) or not version:
        return ""
    package = f"{request.match_info['id']}/{version}"
    return package if provenance.detail == HOSTED else f"{file.path.parts[-4]}/{package}"  # mirror/UPSTREAM/id/version/


def _is_private(request: web.Request) -> bool:
    """Whether other clients may get a different response, so that shared caches must not store this one."""
    gate = request.app[GATE]
    return gate is not None and gate.anonymous_read != "all"


def _is_hot_worthy(request: web.Request, provenance: Provenance) -> bool:
    is_kept = request.app[HOT] is not None and LIMITED not in request
    return is_kept and provenance.outcome in (
        Outcome.HIT,
        Outcome.REFRESHED,
        Outcome.MISS,
        Outcome.STALE,
        Outcome.OWN,
    )


def _verdict(request: web.Request, *, etag: str, modified: int | None, size: int | None) -> Verdict:
    conditions = {name: ", ".join(request.headers.getall(name)) for name in _CONDITIONS if name in request.headers}
    if not conditions:
        return Whole()
    return evaluate(conditions, etag=etag, modified=modified, size=size, method=request.method)


def _without_body(verdict: Verdict, headers: tuple[tuple[str, str], ...]) -> web.Response:
    match verdict:
        case NotModified():
            return web.Response(status=304, headers=dict(headers))
        case Unsatisfiable():
            described = {**dict(headers), "Content-Range": verdict.content_range, "Content-Type": "text/plain"}
            return web.Response(status=416, body=b"", headers=described)
        case _:
            return web.Response(status=412, body=b"", headers={**dict(headers), "Content-Type": "text/plain"})


def _wants_gzip(request: web.Request, gzip: Gzip) -> bool:
    codings = accepted(request.headers.get("Accept-Encoding"))
    return codings is Codings.GZIP or (codings is Codings.SILENT and gzip is Gzip.PREFERRED)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _COMPRESSIBLE or kind.endswith(("+json", "+xml"))
