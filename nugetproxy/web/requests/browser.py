"""People in browsers: the cookie of their session, and what a form must prove before it changes anything.

A session lets its person read, and use the forms of our pages. It is never accepted where programs push or delete:
those requests need a key or a password, which no other site can make a browser send.
"""

import hmac
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from nugetproxy.accounts.model import Account, Actor
from nugetproxy.accounts.sessions import Session, form_token
from nugetproxy.errors import Forbidden, InvalidRequest
from nugetproxy.web.requests.incoming import origin
from nugetproxy.web.requests.keys import NOTE, SERVICES
from nugetproxy.web.requests.uploads import small_body

SECURE_COOKIE: Final = "__Host-nugetproxy"
"""Browsers accept this name only over https, for this very host, and never from another one of the same domain."""
LOOPBACK_COOKIE: Final = "nugetproxy-loopback"
"""For plain http on this machine: browsers refuse the other name there."""

HTTPS_NEEDED: Final = "signing in needs https: over plain http anybody on the way could read the password"

_LONGEST_SECRET: Final = 128
_LARGEST_FORM: Final = 65_536


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is signed in. `token` must be in every form that this person sends."""

    session: Session
    actor: Actor
    account: Account
    secret: str = field(repr=False)  # nothing that prints a viewer shows it

    @property
    def token(self) -> str:
        return form_token(self.secret)


VIEWER: web.RequestKey[Viewer | None] = web.RequestKey("viewer")


async def signed_in(request: web.Request) -> Viewer | None:
    """Whose session the request's cookie belongs to; looked up once for a request. Raises StorageUnavailable."""
    if VIEWER in request:
        return request[VIEWER]
    viewer = None
    accounts, secret = request.app[SERVICES].accounts, secret_of(request)
    if secret and accounts is not None and (found := await accounts.sessions.find(secret)) is not None:
        session, actor = found
        viewer = Viewer(session, actor, session.account, secret)
        request[NOTE].actor = actor.name
    request[VIEWER] = viewer
    return viewer


def secret_of(request: web.Request) -> str:
    """The secret that the browser sent; empty if there is none."""
    if "Cookie" not in request.headers:
        return ""
    secret = request.cookies.get(cookie_name(request), "")
    return secret if len(secret) <= _LONGEST_SECRET else ""


def cookie_name(request: web.Request) -> str:
    return SECURE_COOKIE if is_secure(request) else LOOPBACK_COOKIE


def is_secure(request: web.Request) -> bool:
    """Whether the browser uses https, as far as this server or a trusted proxy knows."""
    return origin(request).base.startswith("https:")


def may_sign_in(request: web.Request) -> bool:
    """Over https, and over plain http on the machine itself."""
    return is_secure(request) or _is_loopback(urlsplit(origin(request).base).hostname or "")


def set_cookie(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    response.set_cookie(
        cookie_name(request), secret, path="/", secure=is_secure(request), httponly=True, samesite="Lax"
    )


def delete_cookie(request: web.Request, response: web.StreamResponse) -> None:
    response.set_cookie(
        cookie_name(request), "", path="/", secure=is_secure(request), httponly=True, samesite="Lax", max_age=0
    )


async def form(request: web.Request, viewer: Viewer | None) -> dict[str, list[str]]:
    """The fields of a form that one of our own pages sent. With a `viewer`, from a page of theirs.

    Raises Forbidden for a form of another site, InvalidRequest, TooLarge.
    """
    _refuse_other_sites(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidRequest("the form must be sent as application/x-www-form-urlencoded")
    body = await small_body(request, _LARGEST_FORM, "the form")
    fields: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100):
            fields.setdefault(name, []).append(value)
    except ValueError as error:
        raise InvalidRequest("the form cannot be read") from error
    if viewer is not None and not hmac.compare_digest(
        fields.get("token", [""])[0].encode("utf-8", "surrogatepass"), viewer.token.encode()
    ):
        raise Forbidden("the form is from another session: open the page again")
    return fields


def _refuse_other_sites(request: web.Request) -> None:
    """Browsers say with every form which site it is from; what does not say so is no browser, and is refused."""
    sender, how = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if how not in (None, "same-origin") or (sender is None and how is None):
        raise Forbidden("forms are accepted from pages of this server only")
    if sender is not None and sender.lower() != _origin_text(origin(request).base):
        raise Forbidden(f"forms are accepted from pages of this server only, not from {sender[:100]}")


def _origin_text(base: str) -> str:
    """As browsers write it: without the path, and without a default port."""
    parts = urlsplit(base)
    host = parts.netloc.lower()
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{host.removesuffix(default)}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
