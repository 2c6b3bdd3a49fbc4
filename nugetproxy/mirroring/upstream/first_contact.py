"""The first contact with an upstream: whether the settings lead to a V3 feed, and if not, what is wrong.

One request by a client of its own, so that what is known of the upstream's health is not touched. Who asks when, and
who is told, is decided by `runtime.first_contacts` and `check-config --connect`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from yarl import URL

from nugetproxy.config import UpstreamSettings
from nugetproxy.errors import UnreadableDocument, UpstreamError
from nugetproxy.httpcache.stored import ReceivedAnswer
from nugetproxy.mirroring.upstream.client import UpstreamClient
from nugetproxy.mirroring.upstream.egress import Egress, read_url
from nugetproxy.protocol.v3.service_index import check_service_index

_CHECK_URL = "check service_index: it is the URL that clients use as source, which usually ends in /index.json"


@dataclass(frozen=True, slots=True)
class FirstContact:
    """What came of it. `why` is empty when the upstream can be used; `remedy` is what the operator may check."""

    upstream: str
    service_index: str
    """Without its query, which may be a secret."""
    through: str
    """The outgoing proxy in words, without its password; empty without one."""
    seconds: float
    why: str
    remedy: str
    clock_ahead: float | None = None
    """Seconds by which its clock is ahead of ours, to within a second; None if it did not tell."""


async def first_contact(settings: UpstreamSettings, *, user_agent: str, environ: Mapping[str, str]) -> FirstContact:
    """Ask once for the service index and read it.

    Raises:
        ConfigError: a file that the settings name cannot be used.
    """
    url = read_url(settings.service_index)
    through = why = remedy = ""
    clock_ahead = None
    began = time.monotonic()
    client = UpstreamClient(settings, user_agent=user_agent, environ=environ)
    await client.start()
    try:
        through = str(Egress(settings, environ).proxy(url) or "")
        bound = settings.connect_timeout + settings.head_timeout + settings.read_timeout
        answer = await client.fetch(settings.service_index, patience=0, timeout=bound)
        clock_ahead = clock_difference(answer.headers, time.time())
        why, remedy = judge_service_index(answer)
    except UpstreamError as error:
        why, remedy = error.why, error.remedy
    finally:
        await client.close()
    return FirstContact(settings.name, _shown(url), through, time.monotonic() - began, why, remedy, clock_ahead)


def clock_difference(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds by which the sender's clock is ahead of `now` (unix seconds); None if its headers do not tell.

    A cache on the way sends the `Date` of the original answer, and its `Age` in seconds.
    """
    try:
        sent = parsedate_to_datetime(headers["date"]).timestamp()
        age = int(headers.get("age", "0"))
    except (KeyError, ValueError, OverflowError):
        return None
    return sent + age - now


def judge_service_index(answer: ReceivedAnswer) -> tuple[str, str]:
    """What is wrong with an answer to a request for the service index, and what to check; empty when nothing is."""
    if answer.status != 200:
        return "answered 404: there is nothing at this URL", _CHECK_URL
    try:
        check_service_index(answer.body)
    except UnreadableDocument as error:
        beginning = answer.body[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if not beginning.startswith(b"<"):
            return f"answered no V3 service index: {error.why}", _CHECK_URL
        if b"<!doctype html" in beginning or b"<html" in beginning:
            return "answered a web page", f"{_CHECK_URL}; a login page or captive portal may be in between"
        if any(mark in beginning for mark in (b"<service", b"<feed", b"<edmx:")):
            return "answered a V2 (OData) feed", "name the service index of its V3 feed: V2 feeds cannot be mirrored"
        return "answered XML, which is no V3 service index", _CHECK_URL
    return "", ""


def _shown(url: URL) -> str:
    return str(url.with_query(None))
