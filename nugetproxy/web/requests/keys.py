"""The typed keys of the application and of a request, and what is recorded about a request while it is handled."""

from dataclasses import dataclass, field
from time import perf_counter

from aiohttp import web

from nugetproxy.feeds.base import Feed
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.services import Services
from nugetproxy.web.hot.table import HotTable
from nugetproxy.web.http.compression import GzipVariants
from nugetproxy.web.http.resource import Resource
from nugetproxy.web.requests.authentication import Gate
from nugetproxy.web.requests.base_url import BaseUrls
from nugetproxy.web.telemetry.access import AccessLog


@dataclass(slots=True)
class RequestNote:
    """What becomes known about a request, for its log line and its counters. `began` is a perf_counter."""

    request_id: str
    began: float = field(default_factory=perf_counter)
    resource: Resource = Resource.UNKNOWN
    outcome: Outcome = Outcome.OWN
    actor: str = ""
    """The name of the client, once it is known."""
    seen: int = 0
    """The value of `Services.changes` when the request arrived: the response may depend on nothing older."""
    bytes_sent: int | None = None
    """Body bytes where aiohttp does not see them (sendfile); None: as counted by aiohttp."""


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
ACCESS: web.AppKey[AccessLog] = web.AppKey("access", AccessLog)
BASES: web.AppKey[BaseUrls] = web.AppKey("bases", BaseUrls)
GZIPPED: web.AppKey[GzipVariants] = web.AppKey("gzipped", GzipVariants)
HOT: web.AppKey[HotTable | None] = web.AppKey("hot")
GATE: web.AppKey[Gate | None] = web.AppKey("gate")
FEED: web.RequestKey[Feed] = web.RequestKey("feed")
"""The feed of a reader who may not see everything."""
LIMITED: web.RequestKey[bool] = web.RequestKey("limited", bool)
"""Set for a reader with a key that may see only some of the hosted packages: the response is for nobody else."""
CHALLENGED: web.RequestKey[bool] = web.RequestKey("challenged", bool)
"""Whether this needs credentials, where reading is not open to all."""
NOTE: web.RequestKey[RequestNote] = web.RequestKey("note", RequestNote)
TAKES_BODY = "takes_body"
"""The attribute of a handler that reads the request's body itself."""
