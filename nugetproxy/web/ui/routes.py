"""The addresses of pages: (path, handler, resource), for GET. `web/routes.py` adds them if `web_ui.enabled` says so.

`/` is not here: without pages, it is plain text.
"""

from typing import Final

from nugetproxy.web.http.resource import Resource
from nugetproxy.web.ui.assets import asset
from nugetproxy.web.ui.search_page import search_page

UI_ROUTES: Final = (
    ("/packages", search_page, Resource.PAGE),
    ("/ui/{file}", asset, Resource.ASSET),
)
