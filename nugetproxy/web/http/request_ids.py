"""The id that connects a request's response, log lines and error body."""

import itertools
import re
import secrets

from nugetproxy.logs import KEY_LIKE

_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_START = secrets.token_hex(6)
_numbers = itertools.count(1)


def request_id(offered: str | None) -> str:
    """The id to use: the one that a client or reverse proxy sent (X-Request-Id) if it is sane, else a new one."""
    if offered and _SANE.fullmatch(offered) and not KEY_LIKE.search(offered):
        return offered
    return f"{_START}-{next(_numbers):x}"
