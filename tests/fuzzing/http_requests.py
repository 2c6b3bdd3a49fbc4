"""Requests as bytes and headers: the lane compared with aiohttp's parser, bodies in chunks compared with whole ones."""

import asyncio
import json
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser

from nugetproxy.errors import InvalidRequest
from nugetproxy.web.http.aiohttp_connection import MAX_FIELD, MAX_FIELDS, MAX_LINE, _Parser
from nugetproxy.web.http.compression import accepted
from nugetproxy.web.http.targets import refuse_odd_target
from nugetproxy.web.lane.request_head import read_head, split
from nugetproxy.web.lane.unfinished_head import is_unfinished, refusal_of_length
from nugetproxy.web.requests.authentication import says_nothing
from nugetproxy.web.requests.first_part import LONGEST_HEAD, FirstPart, boundary_of
from nugetproxy.web.v3.deprecation_request import read_deprecation
from tests.fuzzing.choices import Choices
from tests.fuzzing.target import Outcome, Target
from tests.fuzzing.texts import odd_text, package_id, version
from tests.web.lane.odd_requests import BLANKS, BROKEN, ENDS, HOSTS, LINE_ENDS, MEANING, METHODS, VERSIONS

TARGET: Final = b"/v3/registration/contoso.utils/index.json"
_LINE_END: Final = b" HTTP/1.1\r\n"
_USUAL: Final = (
    b"User-Agent: NuGet Command Line/6.11.0",
    b"Accept-Encoding: gzip, deflate",
    b"X-NuGet-Session-Id: 4e2ca887-825e-46f3-968f-25b41ae1b5f3",
    b"Authorization: Basic YTpi",
    b'If-None-Match: "abc"',
    b"Range: bytes=0-99",
)


# --- the head ---------------------------------------------------------------------------------------------------------


def make_head(choices: Choices) -> bytes:
    first = [choices.one_of((b"GET", b"HEAD")), b" ", TARGET, b" ", b"HTTP/1.1"]
    if choices.chance(4):
        at = choices.below(5)
        first[at] = choices.one_of((METHODS, BLANKS, (TARGET + b" HTTP/1.1\r\nX: y",), BLANKS, VERSIONS)[at])
    host = b"Host: feed.example:8550" if not choices.chance(3) else choices.one_of(HOSTS)
    lines = [host, *choices.some(lambda: choices.one_of((*_USUAL, *MEANING)), 5)]
    if choices.chance(3):
        lines.append(choices.one_of(BROKEN))
    if choices.chance(2):
        lines = [choices.edited(line, 1) for line in lines]
    line_end = choices.one_of(LINE_ENDS) if choices.chance(8) else b"\r\n"
    end = choices.one_of(ENDS) if choices.chance(6) else b"\r\n"
    head = b"".join(line + line_end for line in (b"".join(first), *(line for line in lines if line))) + end
    return choices.edited(head, 2) if choices.chance(4) else head


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _parser() -> HttpRequestParser:
    return HttpRequestParser(
        BaseProtocol(_loop()),
        _loop(),
        2**16,
        max_line_size=MAX_LINE,
        max_field_size=MAX_FIELD,
        max_headers=MAX_FIELDS,
        auto_decompress=False,
    )


def use_head(data: bytes) -> Outcome | None:
    """
    A request that the lane would answer is, to aiohttp's parser, one request without a body and with the same
    meaning.
    """
    refusal_of_length(data), is_unfinished(data)
    line_end = data.find(_LINE_END)
    if line_end < 0 or not data.endswith(b"\r\n\r\n") or not data.startswith((b"GET ", b"HEAD ")):
        return Outcome.REFUSED
    method, _, target = data[:line_end].partition(b" ")
    block, conditions = split(data[line_end + len(_LINE_END) :])
    head = read_head(block, b"http", is_behind_proxy=True)
    if head is None or target != TARGET:
        return Outcome.REFUSED
    try:
        messages, is_upgraded, tail = _parser().feed_data(data)
    except HttpProcessingError as error:
        raise AssertionError(f"aiohttp refuses it: {error}") from error
    ((message, _),) = messages
    assert (is_upgraded, tail) == (False, b"")
    assert (message.method, message.path, message.version) == (method.decode(), TARGET.decode(), (1, 1))
    assert not any((message.should_close, message.chunked, message.upgrade, message.compression))
    given = message.headers
    assert head.host == b"http://" + given["Host"].encode()
    assert head.agent == given.get("User-Agent", "")
    assert head.request_id == given.get("X-Request-Id")
    authorization = given.get("Authorization")
    assert head.authorization == (None if says_nothing(authorization) else authorization)
    assert head.codings == accepted(given.get("Accept-Encoding"))
    for name in ("If-None-Match", "If-Modified-Since", "If-Range", "Range"):
        assert conditions.get(name) == given.get(name)
        assert len(given.getall(name, [])) <= 1
    assert "If-Match" not in given
    assert "X-NuGet-ApiKey" not in given
    return None


# --- bodies -----------------------------------------------------------------------------------------------------------


def make_form(choices: Choices) -> tuple[bytes, bytes, tuple[int, ...]]:
    """A boundary, a body, and the lengths of the chunks in which it arrives."""
    boundary = choices.one_of((b"b", b"-", b"--b--", b"boundary", b"a\r\n"[:1] * 70, b"4e2ca887-825e"))
    delimiter = b"--" + boundary
    pieces = (
        *(delimiter, b"\r\n", b"\n", b"\r", b"--", b"\r\n\r\n", boundary, b"content", b"\r\n" + delimiter, b"\0"),
        *(b"Content-Type: x\r\n\r\n", delimiter + b"--\r\n", b"\r\n" + delimiter[:-1], b"x" * 300, b"\n" + delimiter),
    )
    body = b"".join(choices.some(lambda: choices.one_of(pieces), 12))
    if choices.chance(2):
        body = delimiter + b"\r\nContent-Disposition: form-data\r\n\r\n" + body + b"\r\n" + delimiter + b"--\r\n"
    if choices.chance(6):
        body = b"x" * choices.one_of((LONGEST_HEAD - 1, LONGEST_HEAD, LONGEST_HEAD + 1)) + body
    sizes = tuple(1 + choices.below(choices.one_of((2, 8, 100, 70_000))) for _ in range(1 + choices.below(8)))
    return boundary, body, sizes


def use_form(given: tuple[bytes, bytes, tuple[int, ...]]) -> None:
    boundary, body, sizes = given
    content, is_complete = _in_pieces(boundary, body, (len(body) + 1,))
    assert _in_pieces(boundary, body, sizes) == (content, is_complete)
    assert content in body
    if is_complete:
        assert b"\n--" + boundary not in content


def _in_pieces(boundary: bytes, body: bytes, sizes: tuple[int, ...]) -> tuple[bytes, bool]:
    part, content, at, turn = FirstPart(boundary), b"", 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        content += part.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    return (content, True) if part.is_complete else (content, False)


def make_deprecation(choices: Choices) -> tuple[list[tuple[str, str]], str, bytes]:
    makers: dict[str, Any] = {
        "versions": version,
        "versions[0]": version,
        "isLegacy": lambda choices: choices.one_of(("true", "false", "yes", "")),
        "isOther": lambda choices: choices.one_of(("true", "TRUE", "")),
        "message": odd_text,
        "alternatePackageId": package_id,
        "alternatePackageVersion": version,
        "listedVerb": lambda choices: choices.one_of(("Unlist", "relist", "Unchanged", "x")),
    }

    def pair() -> tuple[str, str]:
        name = choices.one_of(tuple(makers)) if not choices.chance(12) else odd_text(choices)
        return name, makers.get(name, odd_text)(choices)

    query, fields = choices.some(pair, 3), choices.some(pair, 5)
    match choices.below(4):
        case 0:
            kind, body = "application/json", json.dumps(dict(fields)).encode()
        case 1:
            kind = "multipart/form-data; boundary=b"
            parts = (f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields)
            body = ("".join(parts) + "--b--\r\n").encode("utf-8", "replace")
        case 2:
            kind, body = "", "&".join(f"{name}={value}" for name, value in fields).encode("utf-8", "replace")
        case _:
            kind, body = odd_text(choices), b""
    return query, kind, choices.edited(body, 2) if choices.chance(3) else body


def use_deprecation(given: tuple[list[tuple[str, str]], str, bytes]) -> None:
    asked = read_deprecation(*given)
    assert asked.versions
    if asked.deprecation is not None:
        assert asked.deprecation.reasons
        assert json.loads(json.dumps(asked.deprecation.document()))


def make_content_type(choices: Choices) -> str:
    value = odd_text(choices) if choices.chance(3) else choices.one_of(("b", '"b"', '"a b"', "b; x=y", "x" * 201, '"'))
    return "multipart/form-data; " + choices.one_of(("boundary=", "BOUNDARY=", "boundary*=utf-8''", "")) + value


def use_content_type(text: str) -> None:
    boundary = boundary_of(text)
    assert 0 < len(boundary) <= 200


# --- the target -------------------------------------------------------------------------------------------------------


def make_target(choices: Choices) -> str:
    pieces = ("/", "v3", "..", ".", "%2e", "%2F", "\\", "%5c", "%00", "#", "?", " ", "%", "%zz", "a", "api/v2/", "%C3")
    hosts = (
        "[a]@",
        "[::1]:1@",
        "xn--a",
        "xn--a.xn--b",
        "[",
        "]",
        "[::1",
        "a:99999",
        "a:x",
        "@",
        ":",
        "%41",
        "é",
        "u@[::1]",
    )
    if not choices.below(4):
        return "/" + "".join(choices.some(lambda: choices.one_of(("v3", "/", "a", "%C3%A9", "é", "?q=", "~")), 10))
    beginning = choices.one_of(("/", "", "http://x/", "*", "//", "http://", "https://u:p@", "a:", "x://"))
    host = choices.one_of(hosts) + "/" if choices.chance(3) else ""
    return beginning + host + "".join(choices.some(lambda: choices.one_of((*pieces, *hosts)), 10))


def use_target(target: str) -> None:
    _check_parsed(target)
    refuse_odd_target(target)
    path = target.partition("?")[0]
    assert path.startswith("/")
    assert not {".", ".."} & set(path.split("/"))
    assert "\\" not in path
    assert "#" not in target


def _check_parsed(target: str) -> None:
    """aiohttp's parser refuses it, or makes a request of it."""
    parser = _Parser(_parser())
    protocol = SimpleNamespace(transport=None, ssl_context=None, peername=None, sockname=None)
    for method in ("GET", "OPTIONS", "CONNECT"):
        with suppress(HttpProcessingError):
            ((message, payload), *_), *_ = parser.feed_data(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            web.BaseRequest(message, payload, *cast(Any, (protocol, None, None, _loop())))


TARGETS: Final = (
    Target("request head", make_head, use_head),
    Target("form", make_form, use_form, (InvalidRequest,)),
    Target("deprecation", make_deprecation, use_deprecation, (InvalidRequest,)),
    Target("content type", make_content_type, use_content_type, (InvalidRequest,)),
    Target("request target", make_target, use_target, (InvalidRequest,)),
)
