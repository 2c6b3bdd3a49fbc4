"""Which request targets are considered at all.

Ids and versions are checked against their grammar when they are parsed. This module refuses, before routing and before
the feed is asked, tricks that are not a path of ours in any reading, and API keys pasted into a search or an id.
"""

import re

from nugetproxy.accounts.credentials import holds_key
from nugetproxy.errors import InvalidRequest

_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x20\x7f]|%(?:[01][0-9a-f]|7f)", re.IGNORECASE)
_HIDDEN_SLASH = re.compile(r"\\|%2f|%5c", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)


def refuse_odd_target(target: str) -> None:
    """Raises InvalidRequest for a raw request target that no legitimate client sends; names the rule it breaks."""
    if not target.startswith("/"):
        raise InvalidRequest("the request target must be a path: this server is not a forward proxy")
    path, _, query = target.partition("?")
    if "#" in target:
        raise InvalidRequest("the request target contains a fragment")
    if _CONTROL.search(path) or "\x00" in query:
        raise InvalidRequest("the path contains a control character or a space")
    if _HIDDEN_SLASH.search(path):
        raise InvalidRequest("the path contains an encoded slash or a backslash")
    if _DOT_SEGMENT.search(path):
        raise InvalidRequest("the path contains a '.' or '..' segment")
    if _BROKEN_ESCAPE.search(path):
        raise InvalidRequest("the path contains a '%' that is not followed by two hexadecimal digits")


def refuse_key(text: str) -> None:
    """Raises InvalidRequest for a target, or a part of one, that contains what looks like an API key of this server.

    The key must not be sent to an upstream, nor stored as part of a query.
    """
    if holds_key(text):
        raise InvalidRequest(
            "this looks like an API key: it was not searched for and not passed on. Send keys in the X-NuGet-ApiKey "
            "header or as a password; revoke this one if others may have seen the URL"
        )
