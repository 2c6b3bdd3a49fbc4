"""Find URLs in our documents that point elsewhere: nothing that a client fetches may."""

import re
from collections.abc import Iterator
from typing import Any

# Links for people, and names in JSON-LD; nothing fetches these during a restore.
_HUMAN_LINKS = frozenset({"licenseUrl", "projectUrl", "readmeUrl", "advisoryUrl", "url"})
# Texts by authors; one of them may consist of a URL.
_TEXTS = frozenset({"description", "summary", "title", "releaseNotes", "copyright", "message", "comment"})
_JSON_LD = frozenset({"@context", "@vocab", "@type"})

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|//[^/]", re.IGNORECASE)
_FLAT_CONTAINER_ICON = re.compile(r"/[^/]+/\d[^/]*/icon(?:[?#]|$)", re.IGNORECASE)


def foreign_urls(document: Any, ours: str) -> list[tuple[str, str]]:
    """(path, URL) of every URL in a JSON document that is neither below `ours` nor a link for people.

    `ours` is a base without a trailing slash. An iconUrl counts as a link for people unless it is a flat container's.
    """
    return list(_foreign(document, ours, "$", ""))


def _foreign(value: Any, ours: str, path: str, key: str) -> Iterator[tuple[str, str]]:
    if key in _JSON_LD:
        return
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _foreign(below, ours, f"{path}.{name}", name)
    elif isinstance(value, list):
        for at, below in enumerate(value):
            yield from _foreign(below, ours, f"{path}[{at}]", key)
    elif isinstance(value, str) and _URL.match(value) and not _is_ours(value, ours) and not _is_for_people(key, value):
        yield path, value


def _is_ours(url: str, ours: str) -> bool:
    return url == ours or url.startswith(ours + "/")


def _is_for_people(key: str, url: str) -> bool:
    if key == "iconUrl":
        return _FLAT_CONTAINER_ICON.search(url) is None
    return key in _HUMAN_LINKS or key in _TEXTS
