"""Around every request: its id, its errors, its counters and its line in the access log.

Which error gets which status is decided in `web/http/errors.py`. The response is sent here and not left to aiohttp, so
that seconds and bytes cover the whole response.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from nugetproxy.errors import InvalidRequest, NugetproxyError, StorageUnavailable, TooLarge
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.logs import about, logger
from nugetproxy.web.answers.responses import STANDING_HEADERS
from nugetproxy.web.http.aiohttp_connection import is_last_request, note_answered, refuse_other_versions
from nugetproxy.web.http.errors import Refusal, refusal_for, refused
from nugetproxy.web.http.request_ids import request_id
from nugetproxy.web.http.targets import refuse_key, refuse_odd_target
from nugetproxy.web.requests.incoming import mirrors_only, origin, push_address, unknown_document
from nugetproxy.web.requests.keys import ACCESS, NOTE, SERVICES, TAKES_BODY, RequestNote
from nugetproxy.web.requests.uploads import DRAIN_SECONDS, discard
from nugetproxy.web.telemetry.access import AccessLine
from nugetproxy.web.telemetry.counting import count_request
from nugetproxy.web.ui.refusals import refusal_page
from nugetproxy.web.v2.answers import refusal_in_xml

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logger()

_WRITING = ("PUT", "POST", "DELETE", "PATCH")


@web.middleware
async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer one request in any case. Raises UnsupportedVersion, which the connection answers."""
    refuse_other_versions(request.version)
    arrived = time.time()
    services = request.app[SERVICES]
    note = request[NOTE] = RequestNote(request_id(request.headers.get("X-Request-Id")), seen=services.changes())
    with about(request_id=note.request_id):
        response = await _answer(request, handler, note)
    try:
        async with asyncio.timeout(services.config.server.stall_timeout):
            await response.prepare(request)
            await response.write_eof()
        if not request.content.is_eof() and not await discard(request, _drain_seconds(request)):
            request.protocol.force_close()
    except ConnectionError:
        pass  # the client left, or was cut while its body was being sent; aiohttp closes the rest
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    _account(request, response, note, arrived)
    note_answered(request.protocol)
    return response


def takes_body(request: web.Request) -> bool:
    """Whether the handler reads the request's body itself (an upload). Otherwise a body is a mistake."""
    return bool(getattr(request.match_info.handler, TAKES_BODY, False))


def _drain_seconds(request: web.Request) -> float:
    """How long the rest of a body is read after the response: as long as a client may be pushing, if this is a push."""
    is_push = request.method in _WRITING
    return DRAIN_SECONDS if is_push else request.app[SERVICES].config.server.header_timeout


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers that every response has, whatever created it; called just before a head is sent."""
    if (note := request.get(NOTE)) is not None:
        response.headers["X-Request-Id"] = note.request_id
    for name, value in STANDING_HEADERS:
        response.headers[name] = value
    if is_last_request(request.protocol):
        response.headers["Connection"] = "close"


async def _answer(request: web.Request, handler: Handler, note: RequestNote) -> web.StreamResponse:
    try:
        refuse_odd_target(request.raw_path)
        refuse_key(request.raw_path)
        origin(request)  # an invalid Host is refused at every path
        if not takes_body(request) and request.match_info.http_exception is None:
            await _drain(request)
        return await handler(request)
    except web.HTTPException as error:
        return _refuse(request, note, _routing_refusal(request, error))
    except NugetproxyError as error:
        refusal = refusal_for(error, note.resource, request.headers.get("User-Agent", ""))
        is_ours = isinstance(error, StorageUnavailable)
        if is_ours or refusal.outcome is Outcome.FAILED:
            # No traceback: it adds nothing to the message, and this repeats with every request while a disk is full.
            if is_ours:
                log.error("cannot_answer", path=request.path, why=str(error))  # noqa: TRY400
            else:
                log.warning("cannot_answer", path=request.path, why=str(error))
        return _refuse(request, note, refusal)
    except Exception as error:  # the one place where an unforeseen failure becomes a response
        log.exception("unforeseen_failure", path=request.path)
        return _refuse(request, note, refusal_for(error, note.resource))


def _refuse(request: web.Request, note: RequestNote, refusal: Refusal) -> web.StreamResponse:
    note.outcome = refusal.outcome
    json = refusal.body(note.request_id), {"Content-Type": "application/json"}
    page = refusal_page(request, refusal, note.request_id)
    body, described = page or refusal_in_xml(request, refusal.reason) or json
    headers = {**described, **dict(refusal.answer_headers())}
    if page is not None:
        headers.pop("WWW-Authenticate", None)  # a browser would ask by itself; the page leads to our own form
    response = web.Response(status=refusal.status, reason=refusal.reason, body=body, headers=headers)
    if not request.content.is_eof() and not takes_body(request):
        response.force_close()  # the rest of an unwanted body is read, but nothing after it
    return response


def _routing_refusal(request: web.Request, error: web.HTTPException) -> Refusal:
    """The errors of aiohttp's router, in our words."""
    is_push = request.method in ("PUT", "POST") and request.app[SERVICES].hosting is not None
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method} is not allowed here; allowed: {allowed}"
        return refused(405, f"{message}; {push_address(request)}" if is_push else message, {"Allow": allowed})
    if error.status == 404:
        if request.method in _WRITING and request.app[SERVICES].hosting is None:
            refusal = refused(404, str(mirrors_only(request)))
        else:
            message = str(unknown_document(request))
            refusal = refused(404, f"{message}; {push_address(request)}" if is_push else message)
        # The client did not look for a package: the counters record a wrong request, not an absence.
        return Refusal(refusal.status, refusal.reason, Outcome.REFUSED)
    return refused(error.status, error.reason, {})


async def _drain(request: web.Request) -> None:
    """Read and drop the body of a request that should have none, within limits of size and time."""
    if not request.can_read_body:
        return
    settings = request.app[SERVICES].config.server
    length = request.content_length
    if length is not None and length > settings.max_body:
        raise TooLarge("the request's body", settings.max_body)
    received = 0
    try:
        async with asyncio.timeout(settings.header_timeout):
            async for chunk in request.content.iter_any():
                received += len(chunk)
                if received > settings.max_body:
                    raise TooLarge("the request's body", settings.max_body)
    except TimeoutError as error:
        raise InvalidRequest("the request's body did not arrive in time") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidRequest("the request's body is malformed or incomplete") from error


def _account(request: web.Request, response: web.StreamResponse, note: RequestNote, arrived: float) -> None:
    seconds = time.perf_counter() - note.began
    sent = note.bytes_sent
    if sent is None:
        is_without_body = request.method == "HEAD" or response.status == 304
        body = response.body if isinstance(response, web.Response) and not is_without_body else None
        sent = len(body) if isinstance(body, bytes | bytearray) else 0
    count_request(note.resource.value, note.outcome.value, response.status, seconds, sent)
    request.app[ACCESS].record(
        AccessLine(
            time=arrived,
            request_id=note.request_id,
            remote=_remote(request),
            actor=note.actor,
            method=request.method,
            path=request.raw_path,
            status=response.status,
            bytes=sent,
            seconds=seconds,
            resource=note.resource.value,
            outcome=note.outcome.value,
            user_agent=request.headers.get("User-Agent", ""),
        )
    )


def _remote(request: web.Request) -> str:
    try:
        return origin(request).remote
    except InvalidRequest:
        return request.remote or ""
