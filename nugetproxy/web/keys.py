"""The typed keys of the application and of a request, and the words that logs and metrics use for resources."""

from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import TYPE_CHECKING

from aiohttp import web

from nugetproxy.feeds.base import Feed
from nugetproxy.httpcache.outcome import Outcome
from nugetproxy.services import Services

if TYPE_CHECKING:  # these modules use the words below
    from nugetproxy.web.access import AccessLog
    from nugetproxy.web.authentication import Gate
    from nugetproxy.web.base_url import BaseUrls
    from nugetproxy.web.compression import GzipVariants
    from nugetproxy.web.hot import HotTable


class Resource(StrEnum):
    """What a request was about: the `resource` of a metric and of an access log line."""

    SERVICE_INDEX = "service_index"
    VERSIONS = "versions"
    NUPKG = "nupkg"
    NUSPEC = "nuspec"
    README = "readme"
    ICON = "icon"
    LICENSE = "license"
    REGISTRATION_INDEX = "registration_index"
    REGISTRATION_PAGE = "registration_page"
    REGISTRATION_LEAF = "registration_leaf"
    CATALOG_ENTRY = "catalog_entry"
    SEARCH = "search"
    AUTOCOMPLETE = "autocomplete"
    VULNERABILITIES = "vulnerabilities"
    SIGNATURES = "signatures"
    CERTIFICATE = "certificate"
    V2_SERVICE = "v2_service"
    V2_METADATA = "v2_metadata"
    V2_FEED = "v2_feed"
    V2_ENTRY = "v2_entry"
    V2_COMPLETION = "v2_completion"
    PUBLISH = "publish"
    SYMBOLS = "symbols"
    CATALOG = "catalog"
    HOME = "home"
    HEALTH = "health"
    METRICS = "metrics"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class RequestNote:
    """What becomes known about a request on its way, for its log line and its counters. `began` is a perf_counter."""

    request_id: str
    began: float = field(default_factory=perf_counter)
    resource: Resource = Resource.UNKNOWN
    outcome: Outcome = Outcome.OWN
    seen: int = 0
    """What `Services.changes` said when the request came: what is answered may depend on nothing older."""
    bytes_sent: int | None = None
    """Body bytes where aiohttp does not see them pass (sendfile); None: as aiohttp counted."""


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
ACCESS: "web.AppKey[AccessLog]" = web.AppKey("access")
BASES: "web.AppKey[BaseUrls]" = web.AppKey("bases")
GZIPPED: "web.AppKey[GzipVariants]" = web.AppKey("gzipped")
HOT: "web.AppKey[HotTable | None]" = web.AppKey("hot")
GATE: "web.AppKey[Gate | None]" = web.AppKey("gate")
FEED: web.RequestKey[Feed] = web.RequestKey("feed")
"""The feed of a reader who may not see everything."""
CHALLENGED: web.RequestKey[bool] = web.RequestKey("challenged", bool)
"""Whether nobody gets this without credentials, where reading is not open to all."""
NOTE: web.RequestKey[RequestNote] = web.RequestKey("note", RequestNote)
TAKES_BODY = "takes_body"
"""The attribute of a handler that reads the request's body itself."""
