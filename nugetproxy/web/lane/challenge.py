"""The 401 that asks a reader for credentials, prepared as bytes.

Every NuGet client gets it before each answer that is not public, because it sends each request without credentials
first (nuget-protocol: authentication).

Which requests need credentials is decided in `web.requests.reading`.
"""

from email.utils import formatdate
from typing import Final

from nugetproxy.accounts.permissions import CREDENTIALS_NEEDED
from nugetproxy.errors import NotAuthenticated
from nugetproxy.web.answers.responses import STANDING_HEADERS
from nugetproxy.web.http.errors import refusal_for
from nugetproxy.web.http.resource import Resource

_PLACE: Final = "-"


class Challenge:
    """The same response as from aiohttp's side, without going through it. The connection is kept open."""

    def __init__(self) -> None:
        refusal = refusal_for(NotAuthenticated(CREDENTIALS_NEEDED), Resource.HOME)
        self.status = refusal.status
        self.outcome = refusal.outcome.value
        self._before, self._after = (part.encode() for part in _halves(refusal.body(_PLACE).decode()))
        described = (("Content-Type", "application/json"), *refusal.answer_headers(), *STANDING_HEADERS)
        headers = "".join(f"{name}: {value}\r\n" for name, value in described)
        self._head = f"HTTP/1.1 {refusal.status} {refusal.reason}\r\n{headers}".encode("latin-1")
        self._second = -1
        self._dated = b""

    def answer(self, request_id: str, second: int, *, with_body: bool) -> tuple[bytes, int]:
        """The whole response and the size of its body; `second` is now, in unix time."""
        if second != self._second:
            self._second = second
            self._dated = self._head + f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        name = request_id.encode("ascii")
        size = len(self._before) + len(name) + len(self._after)
        start = b"%bContent-Length: %d\r\nX-Request-Id: %b\r\n\r\n" % (self._dated, size, name)
        if not with_body:
            return start, 0
        return b"".join((start, self._before, name, self._after)), size


def _halves(body: str) -> tuple[str, str]:
    before, _, after = body.rpartition(f'"{_PLACE}"')
    return f'{before}"', f'"{after}'
