"""A refusal as raw bytes, for a connection that is refused before aiohttp has seen a request."""

from email.utils import formatdate

from nugetproxy.web.answers.responses import STANDING_HEADERS
from nugetproxy.web.http.errors import Refusal


def plain_refusal(refusal: Refusal, request_id: str) -> tuple[bytes, int]:
    """The whole response, which also closes the connection, and the size of its body in bytes."""
    body = refusal.body(request_id)
    headers = (
        ("Content-Type", "application/json"),
        *refusal.answer_headers(),
        ("X-Request-Id", request_id),
        *STANDING_HEADERS,
        ("Content-Length", str(len(body))),
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {refusal.status} {refusal.reason}\r\n{head}\r\n".encode("latin-1") + body, len(body)
