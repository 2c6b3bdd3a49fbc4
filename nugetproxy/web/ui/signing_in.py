"""Signing in and out. Who may do what belongs to accounts, the cookie to `web/requests/browser.py`."""

from typing import Final

from aiohttp import web

from nugetproxy.errors import DocumentNotFound, Forbidden, NotAuthenticated
from nugetproxy.services import AccountServices
from nugetproxy.web.requests.browser import (
    HTTPS_NEEDED,
    Viewer,
    delete_cookie,
    form,
    may_sign_in,
    secret_of,
    set_cookie,
    signed_in,
)
from nugetproxy.web.requests.incoming import client_address
from nugetproxy.web.requests.keys import GATE, NOTE, SERVICES
from nugetproxy.web.ui.pages import addresses, page

_LONGEST_PATH: Final = 2000
NOT_KEPT: Final = "no-store"


async def sign_in_page(request: web.Request) -> web.StreamResponse:
    """GET: the form; for somebody who is signed in already, their account."""
    accounts_of(request)
    if await signed_in(request) is not None:
        return see_other(addresses(request).account())
    return await _form_again(request, _next(request.query.get("next", "")))


async def sign_in(request: web.Request) -> web.StreamResponse:
    """POST: begins a session, with a new secret whatever the browser sent before."""
    accounts, gate = accounts_of(request), request.app[GATE]
    assert gate is not None, "a server with accounts has a gate"
    if not may_sign_in(request):
        raise Forbidden(HTTPS_NEEDED)
    fields = await form(request, None)
    name, password = fields.get("name", [""])[0].strip(), fields.get("password", [""])[0]
    after, address = _next(fields.get("next", [""])[0]), client_address(request)
    try:
        actor = await gate.person(name, password, address)
    except NotAuthenticated:
        return await _form_again(request, after, name=name, problem="The user name or the password is wrong.")
    assert actor.account is not None, "a password belongs to an account"
    agent = request.headers.get("User-Agent", "")
    secret = await accounts.sessions.begin(actor.account, address=address, agent=agent, instead_of=secret_of(request))
    request[NOTE].actor = actor.name
    response = see_other(after or addresses(request).home())
    set_cookie(request, response, secret)
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST: ends this session, or with `everywhere` all sessions of the person."""
    accounts, viewer = accounts_of(request), await viewer_of(request)
    fields = await form(request, viewer)
    if "everywhere" in fields:
        await accounts.sessions.end_of(viewer.account, address=client_address(request))
    else:
        await accounts.sessions.end(viewer.secret)
    response = see_other(addresses(request).home())
    delete_cookie(request, response)
    return response


def accounts_of(request: web.Request) -> AccountServices:
    """Raises DocumentNotFound where there are no accounts."""
    accounts = request.app[SERVICES].accounts
    if accounts is None:
        raise DocumentNotFound("this server has no accounts: it only mirrors")
    return accounts


async def viewer_of(request: web.Request) -> Viewer:
    """Raises Forbidden."""
    viewer = await signed_in(request)
    if viewer is None:
        raise Forbidden("nobody is signed in here, or not any more: sign in again")
    return viewer


def see_other(address: str) -> web.Response:
    """After a form: the browser shows this page, and does not send the form again when it is reloaded."""
    return web.Response(status=303, headers={"Location": address, "Cache-Control": NOT_KEPT})


async def _form_again(request: web.Request, after: str, *, name: str = "", problem: str = "") -> web.StreamResponse:
    can = may_sign_in(request)
    response = await page(
        request, "sign_in.html", is_hot=False, after=after, name=name, problem=problem,
        why_not="" if can else HTTPS_NEEDED,
    )  # fmt: skip
    response.headers["Cache-Control"] = NOT_KEPT
    if problem:
        response.set_status(403)  # not 401: a browser would ask for a password by itself
    return response


def _next(text: str) -> str:
    """A path on this server to go on to; empty for anything else, so that nobody is led away from here."""
    is_path = text.startswith("/") and text[1:2] not in ("/", "\\") and len(text) <= _LONGEST_PATH
    return text if is_path and text.isprintable() and "\\" not in text else ""
