"""The page at the root of the server: how to use it. HTML for browsers, plain text for everything else.

It reveals nothing about stored packages, because everybody may read it.
"""

import base64
import hashlib
from html import escape
from typing import Final

from aiohttp import web

from nugetproxy.config import Config
from nugetproxy.web.http.media_types import preference
from nugetproxy.web.requests.incoming import links, origin
from nugetproxy.web.requests.keys import SERVICES

_TEXT: Final = """\
{name}: a caching mirror of NuGet packages.

Its source URL is

    {index}

To use it:

    {add}

{push}Health is at {base}/health/live and {base}/health/ready{metrics}.
"""

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
pre { padding: 0.7rem 1rem; border: 1px solid #8886; border-radius: 6px; background: #8881; white-space: pre-wrap;
  overflow-wrap: anywhere; user-select: all; }
footer { margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 0.7rem; font-size: 0.9rem; }
"""

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{name}</h1>
<p>A NuGet package source{what}.</p>
<h2>Source URL</h2>
<pre>{index}</pre>
<h2>Add it to NuGet</h2>
<pre>{add}</pre>
<h2>Or write a nuget.config</h2>
<pre>{config}</pre>
{push}</main>
<footer><a href="{base}/health/ready">Health</a>{metrics}</footer>
</body>
</html>
"""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Vary": "Accept",
    # Only the style: no script can run in the page, whatever a Host header injected into it.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "Referrer-Policy": "no-referrer",
}


async def home(request: web.Request) -> web.StreamResponse:
    """HTML for clients that prefer it to plain text and JSON, as browsers do."""
    config = request.app[SERVICES].config
    base = origin(request)
    name = request.app[SERVICES].name.partition("/")[0]
    index = links(request).service_index()
    # The client refuses a plain http source without this flag (NU1302, since NuGet 6.12).
    flag = "" if base.scheme == "https" else " --allow-insecure-connections"
    add = f"dotnet nuget add source {index} --name {name}{_credentials(config)}{flag}"
    push = f"dotnet nuget push PACKAGE.nupkg --source {name} --api-key KEY" if config.hosting.enabled else ""

    accept = request.headers.get("Accept", "")
    if preference(accept, "text/html") > preference(accept, "text/plain", "application/json"):
        insecure = "" if base.scheme == "https" else ' allowInsecureConnections="true"'
        body = _PAGE.format(
            name=escape(name),
            style=_STYLE,
            what=" that also accepts your own packages" if push else "",
            index=escape(index),
            add=escape(add),
            config=escape(_nuget_config(name, escape(index), insecure)),
            push=f"<h2>Push a package</h2>\n<pre>{escape(push)}</pre>\n" if push else "",
            base=escape(base.base),
            metrics=f' · <a href="{escape(base.base)}/metrics">Metrics</a>' if config.metrics.enabled else "",
        )
        return web.Response(text=body, content_type="text/html", charset="utf-8", headers=_HEADERS)
    text = _TEXT.format(
        name=name,
        index=index,
        add=add,
        push=f"To push to it:\n\n    {push}\n\n" if push else "",
        base=base.base,
        metrics=f", Prometheus metrics are at {base.base}/metrics" if config.metrics.enabled else "",
    )
    return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=_HEADERS)


def _credentials(config: Config) -> str:
    """The options that store credentials, where reading some packages needs them."""
    if config.accounts.anonymous_read == "all":
        return ""
    return " --username USER --password KEY --store-password-in-clear-text"


def _nuget_config(name: str, index: str, insecure: str) -> str:
    return f"""\
<configuration>
  <packageSources>
    <clear />
    <add key="{name}" value="{index}"
         protocolVersion="3"{insecure} />
  </packageSources>
</configuration>"""
