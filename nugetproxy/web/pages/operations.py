"""For operators: health and metrics."""

import gzip
import os

import orjson
from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from nugetproxy.errors import DocumentNotFound
from nugetproxy.executors.threads import METRICS
from nugetproxy.web.http.compression import Codings, accepted
from nugetproxy.web.http.errors import reason_phrase
from nugetproxy.web.requests.keys import SERVICES

_UNCACHED = {"Cache-Control": "no-store"}


async def live(request: web.Request) -> web.StreamResponse:
    """200 as long as the process responds at all."""
    return _json(200, {"live": True})


async def ready(request: web.Request) -> web.StreamResponse:
    """200 when requests can be served, else 503; the reason is in the body and in the status line."""
    is_ready, reason = await request.app[SERVICES].ready()
    fields = {"ready": is_ready, "reason": reason}
    return _json(200, fields) if is_ready else _json(503, fields, reason_phrase(reason))


async def metrics(request: web.Request) -> web.StreamResponse:
    """The instruments of all processes, in the format that the Accept header asks for."""
    if not request.app[SERVICES].config.metrics.enabled:
        raise DocumentNotFound("metrics are switched off")
    is_open = "application/openmetrics-text" in request.headers.get("Accept", "")
    # Rendering thousands of series takes tens of milliseconds: not on the event loop.
    body = await METRICS.run(_rendered, is_open)
    headers = {
        "Content-Type": openmetrics.CONTENT_TYPE_LATEST if is_open else CONTENT_TYPE_PLAIN_0_0_4,
        "Vary": "Accept, Accept-Encoding",
        **_UNCACHED,
    }
    if accepted(request.headers.get("Accept-Encoding")) is Codings.GZIP:
        body = await METRICS.run(gzip.compress, body, 1)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


def _rendered(is_open: bool) -> bytes:
    registry = REGISTRY
    # The only variable read here belongs to prometheus_client: at import it decided where the instruments are written.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no annotation here
    render = openmetrics.generate_latest if is_open else generate_latest
    return bytes(render(registry))


def _json(status: int, fields: dict[str, object], reason: str | None = None) -> web.Response:
    headers = {"Content-Type": "application/json", **_UNCACHED}
    return web.Response(status=status, reason=reason, body=orjson.dumps(fields), headers=headers)
