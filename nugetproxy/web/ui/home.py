"""The page at the root of the server: HTML for browsers, and for everything else plain text on how to use it.

What it shows to everybody reveals nothing about stored packages.
"""

from typing import Final

from aiohttp import web

from nugetproxy.web.requests.incoming import origin
from nugetproxy.web.requests.keys import SERVICES
from nugetproxy.web.requests.reading import sees_hosted
from nugetproxy.web.ui.client_setup import client_setup
from nugetproxy.web.ui.pages import page
from nugetproxy.web.ui.refusals import prefers_page

_RECENT: Final = 10

_TEXT: Final = """\
{name}: a caching mirror of NuGet packages.

Its source URL is

    {index}

To use it:

    {add}

{push}Health is at {base}/health/live and {base}/health/ready{metrics}.
"""


async def home(request: web.Request) -> web.StreamResponse:
    """HTML for clients that prefer it to plain text and JSON, as browsers do."""
    setup = client_setup(request)
    if prefers_page(request):
        hosting = request.app[SERVICES].hosting
        recent = None
        if hosting is not None and sees_hosted(request):
            recent = await hosting.packages.recent(_RECENT)
        response = await page(request, "home.html", is_hot=False, setup=setup, recent=recent)
        response.headers["Vary"] = "Accept, Accept-Encoding, Cookie"
        return response
    config, base = request.app[SERVICES].config, origin(request).base
    text = _TEXT.format(
        name=setup.name,
        index=setup.index,
        add=setup.add,
        push=f"To push to it:\n\n    {setup.push}\n\n" if setup.push else "",
        base=base,
        metrics=f", Prometheus metrics are at {base}/metrics" if config.metrics.enabled else "",
    )
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=headers)
