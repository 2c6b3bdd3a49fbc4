"""Which packages an access log says were requested, in either of its formats."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.identity import PackageIdentity

_PACKAGE: Final = re.compile(
    r"/v3/flatcontainer/(?P<id>[^/\s\"]+)/(?P<version>[^/\s\"]+)/[^/\s\"]+\.nupkg"
    r"|/api/v2/package/(?P<old_id>[^/\s\"?]+)/(?P<old_version>[^/\s\"?]+)",
    re.IGNORECASE,
)


def downloaded(lines: Iterable[str]) -> list[PackageIdentity]:
    """Each package once, in the order of the log. Lines about anything else are skipped."""
    found: dict[PackageIdentity, None] = {}
    for line in lines:
        match = _PACKAGE.search(line)
        if match is None:
            continue
        id_text, version = match["id"] or match["old_id"], match["version"] or match["old_version"]
        try:
            found[PackageIdentity.parse(unquote(id_text), unquote(version))] = None
        except InvalidRequest:
            continue
    return list(found)
