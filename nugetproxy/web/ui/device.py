"""Sign-in from a command line: what the program asks, and the page on which its person allows it (RFC 8628)."""

import time
from typing import Any

import orjson
from aiohttp import web

from nugetproxy.accounts.device_grants import INTERVAL, LIFE, Waiting, shown
from nugetproxy.accounts.model import SECOND
from nugetproxy.errors import Forbidden, InvalidRequest, TooMany
from nugetproxy.services import AccountServices
from nugetproxy.web.requests.browser import HTTPS_NEEDED, form, may_sign_in, signed_in
from nugetproxy.web.requests.incoming import client_address, origin
from nugetproxy.web.requests.keys import NOTE, SERVICES
from nugetproxy.web.requests.uploads import small_body
from nugetproxy.web.ui.pages import addresses, page
from nugetproxy.web.ui.signing_in import NOT_KEPT, accounts_of, see_other, viewer_of

_LARGEST = 4096


async def begin(request: web.Request) -> web.StreamResponse:
    """POST by a program: a secret for it, and a code for its person."""
    accounts, address = accounts_of(request), client_address(request)
    if not may_sign_in(request):
        raise Forbidden(HTTPS_NEEDED)
    given = await _json(request)
    _limit(request, accounts, address, "")
    begun = await accounts.device_grants.begin(_text(given, "label"), address)
    where = origin(request).base.removesuffix(addresses(request).prefix) + addresses(request).device()
    code = shown(begun.user_code)
    return _answer(
        200,
        device_code=begun.secret,
        user_code=code,
        verification_uri=where,
        verification_uri_complete=f"{where}?code={code}",
        expires_in=LIFE // SECOND,
        interval=INTERVAL,
    )


async def token(request: web.Request) -> web.StreamResponse:
    """POST by the program, every few seconds: the key, as soon as it is allowed."""
    accounts, address = accounts_of(request), client_address(request)
    secret = _text(await _json(request), "device_code")
    try:
        taken = await accounts.device_grants.take(secret, address=address)
    except Waiting:
        return _answer(400, error="authorization_pending")
    if taken is None:
        return _answer(400, error="expired_token")
    key, text = taken
    request[NOTE].actor = f"{key.owner.name}/key {key.name}"
    return _answer(200, username=key.owner.name, apiKey=text, expires=key.expires // SECOND)


async def device_page(request: web.Request) -> web.StreamResponse:
    """GET: asks for the code; with one, what asks and from where."""
    accounts_of(request)
    if await signed_in(request) is None:
        return see_other(addresses(request).sign_in(request.path_qs))
    return await _page(request, request.query.get("code", ""))


async def allow(request: web.Request) -> web.StreamResponse:
    """POST: without `allow` shows what waits under the code, with it allows that."""
    accounts, viewer, address = accounts_of(request), await viewer_of(request), client_address(request)
    fields = await form(request, viewer)
    code = fields.get("code", [""])[0]
    if "allow" not in fields:
        return await _page(request, code)
    _limit(request, accounts, address, viewer.account.name)
    is_done = await accounts.device_grants.allow(code, viewer.account, address=address)
    return await _page(request, "" if is_done else code, is_done=is_done)


async def _page(request: web.Request, code: str, *, is_done: bool = False) -> web.StreamResponse:
    accounts, viewer = accounts_of(request), await viewer_of(request)
    grant = None
    if code:
        _limit(request, accounts, client_address(request), viewer.account.name)
        grant = await accounts.device_grants.find(code)
    response = await page(
        request, "device.html", is_hot=False, viewer=viewer, grant=grant, code=code, is_done=is_done,
        shown=shown(grant.user_code) if grant is not None else "",
    )  # fmt: skip
    response.headers["Cache-Control"] = NOT_KEPT
    return response


def _limit(request: web.Request, accounts: AccountServices, address: str, name: str) -> None:
    """Each try counts like a wrong password: nobody guesses codes, nor fills the table. Raises TooMany."""
    now, what = time.monotonic(), f"device {now_text()}"
    if wait := accounts.attempts.wait(address, name, what, now):
        most = request.app[SERVICES].config.accounts.failed_logins_per_minute
        raise TooMany("sign-ins from a command line within a minute", most, retry_after=wait)
    revisions = request.app[SERVICES].revisions
    accounts.attempts.failed(address, name, what, 0 if revisions is None else revisions.accounts, now)


def now_text() -> str:
    """Different for each try, so that none is taken for the repetition of an earlier one."""
    return str(time.monotonic_ns())


async def _json(request: web.Request) -> dict[str, Any]:
    """Only JSON: a browser sends no such request to another site without asking. Raises InvalidRequest."""
    if request.content_type != "application/json":
        raise InvalidRequest("the request must have a Content-Type of application/json")
    try:
        given = orjson.loads(await small_body(request, _LARGEST, "the request"))
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("the request is not JSON") from error
    if not isinstance(given, dict):
        raise InvalidRequest("the request must be a JSON object")
    return given


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise InvalidRequest(f"{name} must be a text of 1 to 200 characters")
    return value


def _answer(status: int, **values: object) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(values),
        content_type="application/json",
        headers={"Cache-Control": NOT_KEPT},
    )
