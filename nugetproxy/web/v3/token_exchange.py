"""POST /api/v2/token: a build's identity token for an API key of one hour, as at nuget.org (nuget-protocol: trusted
publishing).

What a token must say belongs to `accounts.trusted_publishing`; here a request becomes an exchange, and its result JSON.
"""

import time
from datetime import UTC, datetime

import orjson
from aiohttp import web

from nugetproxy.errors import InvalidRequest, TokenRefused, TooMany, UnsupportedBody
from nugetproxy.metrics import LOGINS_FAILED
from nugetproxy.services import AccountServices
from nugetproxy.web.requests.incoming import client_address, unknown_document
from nugetproxy.web.requests.keys import NOTE, SERVICES
from nugetproxy.web.requests.uploads import small_body
from nugetproxy.web.v3.publish import hosting_to_change

_LARGEST = 16_384
_KIND = "ApiKey"
_BEARER = "Bearer "


async def exchange_token(request: web.Request) -> web.StreamResponse:
    """200 with the key; 401 if the token is not accepted, and why."""
    hosting_to_change(request)
    services = request.app[SERVICES]
    accounts = services.accounts
    if accounts is None or accounts.exchange is None:
        raise unknown_document(request)
    token = _bearer(request)
    if request.content_type != "application/json":
        raise UnsupportedBody("The request must have a Content-Type of 'application/json'.")
    if not request.headers.get("User-Agent", "").strip():
        raise InvalidRequest("A User-Agent header is required.")
    username = _username(await small_body(request, _LARGEST, "the request"))
    address = client_address(request)
    _refuse_if_too_many(accounts, address, username, token, services.config.accounts.failed_logins_per_minute)
    assert services.revisions is not None, "a server that hosts has revisions"
    revision = services.revisions.accounts
    try:
        key, text = await accounts.exchange.exchange(username, token, address)
    except TokenRefused:
        LOGINS_FAILED.labels("token").inc()
        accounts.attempts.failed(address, username, token, revision, time.monotonic())
        raise
    request[NOTE].actor = f"{key.owner.name}/key {key.name}"
    body = {"tokenType": _KIND, "expires": _dotnet_time(key.expires), "apiKey": text}
    return web.Response(body=orjson.dumps(body), content_type="application/json", headers={"Cache-Control": "no-store"})


def _bearer(request: web.Request) -> str:
    """Raises TokenRefused."""
    sent = request.headers.getall("Authorization", ())
    if len(sent) != 1:
        raise TokenRefused(f"{'Only one' if sent else 'An'} Authorization header with a bearer token is required.")
    if not sent[0].lower().startswith(_BEARER.lower()) or not (token := sent[0][len(_BEARER) :].strip()):
        raise TokenRefused("The Authorization header value must be 'Bearer' and a token.")
    return token


def _username(body: bytes) -> str:
    """Raises InvalidRequest. Names of properties in any case, as at nuget.org."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The request body must be a JSON object with username and tokenType.") from error
    if not isinstance(given, dict):
        raise InvalidRequest("The request body must be a JSON object with username and tokenType.")
    properties = {name.lower(): value for name, value in given.items()}
    username = properties.get("username")
    if not isinstance(username, str) or not username.strip():
        raise InvalidRequest("The username property in the request body is required.")
    if properties.get("tokentype") != _KIND:
        raise InvalidRequest(f"The tokenType property in the request body is required and must be set to '{_KIND}'.")
    return username.strip()


def _refuse_if_too_many(accounts: AccountServices, address: str, username: str, token: str, limit: int) -> None:
    if wait := accounts.attempts.wait(address, username, token, time.monotonic()):
        what = "refused tokens from this address within a minute, for this user name or in total"
        raise TooMany(what, limit, retry_after=wait)


def _dotnet_time(microseconds: int) -> str:
    """As .NET's round-trip format writes UTC: seven digits of a second."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06}0Z"
