"""My account: a person's sessions and keys. The rules are those of accounts; a person sees only what they may do."""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from nugetproxy.accounts.model import DAY, Account, AccountKind, ApiKey, Scope, now_us
from nugetproxy.accounts.permissions import Allowed, may_end_key, may_make_key, require
from nugetproxy.errors import ApiKeyNotFound, Conflict, InvalidRequest
from nugetproxy.web.requests.browser import Viewer, form, signed_in
from nugetproxy.web.requests.incoming import client_address
from nugetproxy.web.ui.pages import addresses, page
from nugetproxy.web.ui.signing_in import NOT_KEPT, accounts_of, see_other, viewer_of

_EMPTY: Final = {"name": "", "owner": "", "globs": "*", "networks": "", "days": "90"}
_OVERLAP: Final = 86_400.0
_CHOICES: Final = (
    (Scope.PUSH, "Push new packages and versions"),
    (Scope.PUSH_VERSION, "Push versions of existing packages only"),
    (Scope.UNLIST, "Unlist, relist and deprecate"),
    (Scope.READ, "Read only"),
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as the page shows it."""

    key: ApiKey
    state: str
    days_left: int


async def account_page(request: web.Request) -> web.StreamResponse:
    """GET: sessions, keys, and the form for a new key."""
    accounts_of(request)
    viewer = await signed_in(request)
    if viewer is None:
        return see_other(addresses(request).sign_in(request.path_qs))
    return await _account(request, viewer)


async def add_key(request: web.Request) -> web.StreamResponse:
    """POST: a new key, shown in the answer and never again."""
    accounts, viewer = accounts_of(request), await viewer_of(request)
    fields = await form(request, viewer)
    given = {name: values[0].strip() for name, values in fields.items()}
    try:
        owner = await accounts.directory.account(given.get("owner", "") or viewer.account.name)
        require(may_make_key(viewer.actor, owner))
        key, text = await accounts.directory.add_key(
            owner,
            viewer.account,
            name=given.get("name", ""),
            scopes=_scopes(fields.get("scope", [])),
            globs=given.get("globs", "").split() or ("*",),
            networks=given.get("networks", "").split(),
            expires=now_us() + _days(given.get("days", "")) * DAY,
            by=viewer.actor,
        )
    except (InvalidRequest, Conflict) as error:
        return await _account(request, viewer, problem=str(error), given=given, chosen=fields.get("scope", []))
    return await _private(request, "new_key.html", viewer, key=key, text=text, old=None)


async def rotate_key(request: web.Request) -> web.StreamResponse:
    """POST: a key with the same rights; the old one works for a day more."""
    accounts, viewer = accounts_of(request), await viewer_of(request)
    await form(request, viewer)
    old = await _own_key(request, viewer)
    require(may_make_key(viewer.actor, old.owner))
    try:
        key, text = await accounts.directory.rotate_key(old, _OVERLAP, by=viewer.actor)
    except Conflict as error:
        return await _account(request, viewer, problem=str(error))
    return await _private(request, "new_key.html", viewer, key=key, text=text, old=old)


async def revoke_key(request: web.Request) -> web.StreamResponse:
    """POST: the key ends."""
    accounts, viewer = accounts_of(request), await viewer_of(request)
    await form(request, viewer)
    key = await _own_key(request, viewer)
    await accounts.directory.revoke_key(key.key_id, member=viewer.account, by=viewer.actor)
    return see_other(addresses(request).account())


async def end_session(request: web.Request) -> web.StreamResponse:
    """POST: one of the person's sessions ends."""
    accounts, viewer = accounts_of(request), await viewer_of(request)
    await form(request, viewer)
    await accounts.sessions.end_of(viewer.account, request.match_info["session"], address=client_address(request))
    return see_other(addresses(request).account())


async def _account(
    request: web.Request,
    viewer: Viewer,
    *,
    problem: str = "",
    given: dict[str, str] | None = None,
    chosen: list[str] | None = None,
) -> web.StreamResponse:
    accounts, now = accounts_of(request), now_us()
    keys = [key for key in await accounts.directory.keys() if _may_end(viewer, key) and not key.is_verification]
    rows = [KeyRow(key, _state(key, now), key.days_left(now)) for key in reversed(keys) if key.is_live(now)]
    response = await _private(
        request,
        "my_account.html",
        viewer,
        keys=rows,
        sessions=await accounts.sessions.of(viewer.account),
        owners=await _owners(request, viewer),
        choices=_CHOICES,
        given={**_EMPTY, **(given or {})},
        chosen=chosen or [Scope.PUSH.value],
        problem=problem,
    )
    if problem:
        response.set_status(400)
    return response


async def _private(request: web.Request, template: str, viewer: Viewer, **values: Any) -> web.StreamResponse:
    """A page that no cache keeps, not even the browser's: it is about one person, and may show a key."""
    response = await page(request, template, is_hot=False, viewer=viewer, **values)
    response.headers["Cache-Control"] = NOT_KEPT
    return response


async def _owners(request: web.Request, viewer: Viewer) -> list[Account]:
    """The accounts that this person may create keys for, their own first."""
    all_accounts = await accounts_of(request).directory.accounts()
    others = [
        each
        for each in all_accounts
        if each.kind is AccountKind.ORGANIZATION and isinstance(may_make_key(viewer.actor, each), Allowed)
    ]
    return [viewer.account, *others]


async def _own_key(request: web.Request, viewer: Viewer) -> ApiKey:
    """Raises ApiKeyNotFound also for a key that this person may not end: nobody learns which ids exist."""
    key_id = request.match_info["key"]
    key = await accounts_of(request).directory.key(key_id)
    if key.key_id != key_id or not _may_end(viewer, key):
        raise ApiKeyNotFound(key_id)
    return key


def _may_end(viewer: Viewer, key: ApiKey) -> bool:
    """An administrator of the server may end every key, with the command line; here people see those of their own."""
    mine = {viewer.account.account_id, *viewer.actor.memberships}
    return key.owner.account_id in mine and isinstance(may_end_key(viewer.actor, key), Allowed)


def _scopes(texts: list[str]) -> list[Scope]:
    try:
        return [Scope(text) for text in texts]
    except ValueError:
        raise InvalidRequest(f"unknown scope; expected {', '.join(Scope)}") from None


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) <= 3650:
        raise InvalidRequest("a key is valid for 1 to 3650 days")
    return int(text)


def _state(key: ApiKey, now: int) -> str:
    return "expires soon" if key.days_left(now) <= 10 else "active"
