"""Builders for documents and rules. Times are in seconds; now is `NOON`."""

from nugetproxy.httpcache.freshness import FreshnessRule
from nugetproxy.httpcache.stored import ReceivedAnswer, StoredResponse

NOON = 1_700_000_000.0
URL = "https://upstream.test/v3/x/index.json"


def a_document(
    *,
    age: float = 0.0,
    body: bytes = b'{"versions":["1.0.0"]}',
    etag: str = "0x8D764B46B9CE392",
    last_modified: str = "Wed, 15 Nov 2023 10:00:00 GMT",
    expired: bool = False,
    url: str = URL,
    now: float = NOON,
) -> StoredResponse:
    confirmed = now - age
    return StoredResponse(
        url, 200, body, etag, last_modified, "application/json", fetched=confirmed, confirmed=confirmed, expired=expired
    )


def an_absence(*, age: float = 0.0, status: int = 404, now: float = NOON, expired: bool = False) -> StoredResponse:
    return StoredResponse(URL, status, b"", "", "", "", fetched=now - age, confirmed=now - age, expired=expired)


def a_rule(
    *, fresh: float = 60, behind: float = 0, on_error: float = 86_400, absent: float = 10, patience: float = 1
) -> FreshnessRule:
    return FreshnessRule(fresh, behind, on_error, absent, patience)


def an_answer(
    status: int = 200,
    body: bytes = b'{"versions":["1.0.0","2.0.0"]}',
    etag: str = "0x8D764B46B9CE393",
    last_modified: str = "Wed, 15 Nov 2023 11:00:00 GMT",
    content_type: str = "application/json",
) -> ReceivedAnswer:
    return ReceivedAnswer(status, body, etag, last_modified, content_type, URL)
