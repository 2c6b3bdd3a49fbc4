"""Names of upstreams that have none in the settings, derived from their URLs.

A name becomes a folder of the data directory and a metric label, so these must not change between versions.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

SOURCE_PATH: Final = "/v3/index.json"
_LONGEST: Final = 64


def upstream_name(service_index: str) -> str:
    """The default name of an upstream: its host, usable as a folder name; "nuget.org" for api.nuget.org."""
    location = _parts_of(service_index).netloc.rpartition("@")[2].lower()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", location).strip("-._")
    return "nuget.org" if safe == "api.nuget.org" else safe or "upstream"


def distinct_names(service_indexes: Sequence[str]) -> list[str]:
    """Like `upstream_name`, but including the path for those that share a host.

    The result is independent of the order: feeds must not be confused when they are listed in another order.
    """
    names = [upstream_name(url) for url in service_indexes]
    return [
        _with_path(name, url) if names.count(name) > 1 else name
        for name, url in zip(names, service_indexes, strict=True)
    ]


def _parts_of(url: str) -> SplitResult:
    """Empty if it is not a valid URL: names are derived before validation."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _with_path(name: str, service_index: str) -> str:
    parts = _parts_of(service_index)
    words = re.findall(r"[a-z0-9_]+", parts.path.lower().removesuffix(SOURCE_PATH))
    whole = "-".join((name, *words))
    if len(whole) <= _LONGEST and not parts.query:
        return whole
    # A query may contain a secret, and a name becomes a folder: a hash replaces it, and anything that is cut off.
    digest = hashlib.sha256(f"{whole}?{parts.query}".encode()).hexdigest()[:8]
    return f"{whole[: _LONGEST - 9].rstrip('-._')}-{digest}"
