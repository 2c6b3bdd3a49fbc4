"""The addresses of pages: (path, handler, resource), for GET. `web/routes.py` adds them if `web_ui.enabled` says so.

`/` is not here: without pages, it is plain text. The order matters: what follows an id is a page of it before it is a
version; no version has such a name.
"""

from typing import Final

from nugetproxy.web.http.resource import Resource
from nugetproxy.web.ui import device
from nugetproxy.web.ui.account import account_page, add_key, end_session, revoke_key, rotate_key
from nugetproxy.web.ui.assets import asset
from nugetproxy.web.ui.files_page import compare_page, files_page
from nugetproxy.web.ui.package_page import package_page, used_by_page, versions_page
from nugetproxy.web.ui.search_page import search_page
from nugetproxy.web.ui.signing_in import sign_in, sign_in_page, sign_out
from nugetproxy.web.ui.small_documents import badge, pushes_feed, versions_feed

UI_ROUTES: Final = (
    ("/sign-in", sign_in_page, Resource.ACCOUNT),
    ("/account", account_page, Resource.ACCOUNT),
    ("/device", device.device_page, Resource.ACCOUNT),
    ("/packages", search_page, Resource.PAGE),
    ("/packages/{id}", package_page, Resource.PAGE),
    ("/packages/{id}/versions", versions_page, Resource.PAGE),
    ("/packages/{id}/used-by", used_by_page, Resource.PAGE),
    ("/packages/{id}/compare", compare_page, Resource.PAGE),
    ("/packages/{id}/badge.svg", badge, Resource.PAGE),
    ("/packages/{id}/feed.atom", versions_feed, Resource.PAGE),
    ("/packages/{id}/{version}", package_page, Resource.PAGE),
    ("/packages/{id}/{version}/files", files_page, Resource.PAGE),
    ("/feed.atom", pushes_feed, Resource.PAGE),
    ("/ui/{file}", asset, Resource.ASSET),
)

UI_ACTIONS: Final = (
    ("POST", "/sign-in", sign_in, Resource.ACCOUNT),
    ("POST", "/sign-out", sign_out, Resource.ACCOUNT),
    ("POST", "/account/keys", add_key, Resource.ACCOUNT),
    ("POST", "/account/keys/{key}/rotate", rotate_key, Resource.ACCOUNT),
    ("POST", "/account/keys/{key}/revoke", revoke_key, Resource.ACCOUNT),
    ("POST", "/device", device.allow, Resource.ACCOUNT),
    ("POST", "/device/code", device.begin, Resource.ACCOUNT),
    ("POST", "/device/token", device.token, Resource.ACCOUNT),
    ("POST", "/account/sessions/{session}/end", end_session, Resource.ACCOUNT),
)
"""Forms: (method, path, handler, resource)."""
