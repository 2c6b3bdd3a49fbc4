"""Single request headers, how they are logged, and documents as they are stored with their headers."""

import json
import re
from base64 import b64decode, b64encode
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Final, cast

from aiohttp import web
from multidict import CIMultiDict

from nugetproxy.accounts.credentials import holds_key, key_id_of, mint_key
from nugetproxy.errors import InvalidRequest, NotAuthenticated
from nugetproxy.httpcache.conditional import NotModified, Partial, PreconditionFailed, Unsatisfiable, Whole, evaluate
from nugetproxy.httpcache.stored import StoredResponse
from nugetproxy.logs import mask_text
from nugetproxy.mirroring.upstream.faults import LONGEST_RETRY_AFTER, read_retry_after
from nugetproxy.protocol.symbol_checksums import agrees, write_symbol_checksums
from nugetproxy.storage.documents.strict import Clock
from nugetproxy.web.requests.authentication import _basic, says_nothing
from nugetproxy.web.requests.base_url import BaseUrls
from nugetproxy.web.telemetry.access import AccessLine, json_lines, plain_lines
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Outcome, Target
from tests.fuzzing.texts import ODD_CHARACTERS, odd_text

_DATES: Final = (
    *("Tue, 02 Jan 2024 12:00:00 GMT", "Tuesday, 02-Jan-24 12:00:00 GMT", "Tue Jan  2 12:00:00 2024", "x", ""),
    *("Tue, 32 Jan 2024 12:00:00 GMT", "Tue, 02 Jan 0000 12:00:00 GMT", "Tue, 02 Jan 9999 99:99:99 GMT"),
)
_TAGS: Final = ('"a"', 'W/"a"', "*", '"b", "a"', '"b",, W/"a" ,', "a", '"', '"é"', '"a', ", " * 50)
_RANGES: Final = (
    *("bytes=0-9", "bytes=-5", "bytes=5-", "bytes=0-0", "bytes=9-3", "bytes=0-1,3-4", "x=0-1", "bytes=-0", "bytes=-"),
    *("bytes=99999999999999999999999-", "bytes=0-" + "9" * 5_000, "BYTES= 1 - 2", "byte\u017f=0-1", "bytes=٣-٤"),
)


def make_conditions(choices: Choices) -> tuple[dict[str, str], str, int | None, int | None, str]:
    kinds = {"If-Match": _TAGS, "If-None-Match": _TAGS, "If-Modified-Since": _DATES, "If-Unmodified-Since": _DATES}
    kinds |= {"If-Range": (*_TAGS, *_DATES), "Range": _RANGES}
    headers = {}
    for name in choices.some(lambda: choices.one_of(tuple(kinds)), 4):
        value = choices.one_of(kinds[name])
        headers[name] = choices.edited(value.encode(), 2).decode("latin-1") if choices.chance(3) else value
    size = choices.one_of((None, 0, 1, 10, 1_000, 2**40))
    return headers, choices.one_of(('"a"', 'W/"a"', "a", "")), choices.one_of((None, 0, 1_704_196_800)), size, "GET"


def use_conditions(given: tuple[dict[str, str], str, int | None, int | None, str]) -> None:
    headers, etag, modified, size, method = given
    verdict = evaluate(headers, etag=etag, modified=modified, size=size, method=method)
    match verdict:
        case Partial(start, end):
            assert size is not None
            assert 0 <= start < end <= size
            assert re.fullmatch(r"bytes \d+-\d+/\d+", verdict.content_range(size))
        case Unsatisfiable(found):
            assert found == size
        case _:
            assert isinstance(verdict, Whole | NotModified | PreconditionFailed)
    if "Range" not in headers:
        assert not isinstance(verdict, Partial | Unsatisfiable)
    # Names in lower case, as the lane may pass them, mean the same.
    lower = {name.lower(): value for name, value in headers.items()}
    assert evaluate(lower, etag=etag, modified=modified, size=size, method=method) == verdict
    head = evaluate(headers, etag=etag, modified=modified, size=size, method="HEAD")
    assert not isinstance(head, Partial | Unsatisfiable)


def make_forwarding(choices: Choices) -> list[tuple[str, str]]:
    values = (
        *(
            "https",
            "http",
            "ftp",
            "feed.example",
            "feed.example:8550",
            "a b",
            "10.0.0.1",
            "[2001:db8::1]:80",
            "unknown",
        ),
        *(
            "127.0.0.1",
            "proto=https;host=feed.example",
            'for="[::1]:80";proto=http',
            'host="a\\"b"',
            "/nuget",
            "/a/../b",
        ),
        *(
            "x, y",
            ",,",
            '"',
            "for=127.0.0.1, for=10.0.0.1;host=evil.example",
            "1" * 70,
            "::ffff:127.0.0.1",
            "fe80::1%e",
        ),
    )
    names = ("Host", "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Prefix")

    def header() -> tuple[str, str]:
        value = choices.one_of(values)
        return choices.one_of(names), value + choices.one_of(ODD_CHARACTERS) if choices.chance(6) else value

    return [("Host", "feed.example"), *choices.some(header, 5)]


def use_forwarding(headers: list[tuple[str, str]]) -> None:
    bases = BaseUrls("", ["127.0.0.1", "10.0.0.0/8"])
    found = {}
    for peer in ("127.0.0.1", "203.0.113.9"):
        request = SimpleNamespace(
            headers=CIMultiDict(headers), remote=peer, secure=False, version=(1, 1), transport=None
        )
        found[peer] = origin = bases.origin(cast(web.BaseRequest, request))
        assert re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+(/[A-Za-z0-9._~-]+)*", origin.base), origin.base
        assert re.fullmatch(r"[A-Za-z0-9._:%-]*", origin.remote)
    stranger = found["203.0.113.9"]
    assert not stranger.is_forwarded
    assert stranger.remote == "203.0.113.9"


def make_line(choices: Choices) -> tuple[AccessLine, str]:
    """The log of a request with a secret in one of the places where clients put one."""
    secret = "s3cr3t" + "0123456789abcdef" * 2
    place = choices.one_of(
        (
            f"/v3/query?q=x&apikey={secret}",
            f"/v3/query?access_token={secret}&q=a",
            f"/http://user:{secret}@up.example/v3/index.json",
            f"/%68ttp%3A%2F%2Fuser:{secret}%40up.example/",
            f"/v3/index.json?{secret}",
        )
    )
    agent, path = odd_text(choices)[:300], place + choices.one_of(("", odd_text(choices)[:100]))
    line = AccessLine(1.0, "id", "127.0.0.1", odd_text(choices)[:64], "GET", path, 200, 5, 0.1, "search", "hit", agent)
    return line, secret


def use_line(given: tuple[AccessLine, str]) -> None:
    line, secret = given
    plain, as_json = plain_lines([line]), json_lines([line])
    assert plain.count(b"\n") == as_json.count(b"\n") == 1
    assert plain.endswith(b"\n")
    assert isinstance(json.loads(as_json), dict)
    assert secret.encode() not in plain + as_json


def make_retry_after(choices: Choices) -> str:
    return choices.edited(choices.one_of((*_DATES, "5", "999999999999", "-1", "1.5")).encode(), 2).decode("latin-1")


def use_retry_after(text: str) -> None:
    seconds = read_retry_after(text, datetime(2024, 1, 2, tzinfo=UTC))
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


def make_credentials(choices: Choices) -> tuple[str, str]:
    """An Authorization header, and a key of ours as it may stand somewhere in a text."""
    pair = choices.one_of(("user:", "", ":", "a:b:")) + choices.one_of((_key(), _key()[:-1], odd_text(choices)[:3_000]))
    header = choices.one_of(("Basic ", "basic ", "BASIC  ", "Bearer ", "")) + b64encode(pair.encode()).decode()
    if choices.chance(2):
        header = choices.edited(header.encode(), 2).decode("latin-1")
    around = choices.one_of(("", "&key=", "https://u:", "x", " ", "%20", "%3D", '"', *ODD_CHARACTERS))
    key = _key()
    shown = choices.one_of((key, key.upper(), key.replace("_", "%5F"), key.replace("_", "%255f"), key[:40]))
    return header, around + shown + choices.one_of(("", around, "z", "%"))


@cache
def _key() -> str:
    return mint_key().text


def use_credentials(given: tuple[str, str]) -> None:
    header, text = given
    assert holds_key(text)
    assert _key()[12:40].lower() not in mask_text(text).lower()
    name, secret = _basic(header)
    assert not says_nothing(header) or (name, secret) == ("", "")
    assert b64decode(header.partition(" ")[2].strip()).decode() == f"{name}:{secret}"
    if (key_id := key_id_of(secret)) is not None:
        assert secret.startswith(f"nugetproxy_{key_id}")


def make_checksums(choices: Choices) -> tuple[str, str]:
    digests = {name: bytes(length) for name, length in (("SHA256", 32), ("SHA384", 48), ("SHA512", 64))}
    known = write_symbol_checksums(dict(choices.some(lambda: choices.one_of(tuple(digests.items())), 3)))
    return choices.edited(known.encode(), 3).decode("latin-1") if choices.chance(2) else odd_text(choices), known


def use_checksums(given: tuple[str, str]) -> None:
    wanted, known = given
    assert agrees(known, known)
    assert agrees("", known)
    assert agrees(wanted, known) == agrees(f" {wanted.lower()} ;;", known)
    if known:
        assert not agrees(known.replace("0", "1"), known)


def make_stored(choices: Choices) -> bytes:
    fetched, confirmed = float(choices.below(2**40)), float(choices.below(2**40))
    stored = StoredResponse("https://x/", 200, choices.raw(50), '"e"', "", "application/json", fetched, confirmed)
    return choices.edited(stored.to_bytes(), 2)


def use_stored(kept: bytes) -> Outcome | None:
    with suppress(ValueError):
        clock = Clock.from_bytes(kept[:82])
        assert clock.to_bytes() == kept[:82]
    try:
        stored = StoredResponse.from_bytes(kept)
    except ValueError:
        return Outcome.REFUSED
    assert StoredResponse.from_bytes(stored.to_bytes()) == stored
    return None


TARGETS: Final = (
    Target("conditions", make_conditions, use_conditions),
    Target("forwarding headers", make_forwarding, use_forwarding, (InvalidRequest,)),
    Target("credentials", make_credentials, use_credentials, (NotAuthenticated,)),
    Target("symbol checksums", make_checksums, use_checksums),
    Target("access log line", make_line, use_line),
    Target("Retry-After", make_retry_after, use_retry_after),
    Target("stored document", make_stored, use_stored),
)
