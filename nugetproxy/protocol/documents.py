"""JSON documents as bytes: the only place where untrusted bytes become values, and values become bytes.

Rule 1: anything wrong with the bytes is raised as UnreadableDocument.
Rule 2: any value that was read can be written again, inside any document of ours.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

import orjson

from nugetproxy.errors import DocumentTooLarge, UnreadableDocument
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT

DEEPEST: Final = 64
"""Levels of nesting. The deepest document of the protocol has about ten; orjson writes 254, and the code that rewrites
documents recurses once or twice per level.
"""

LONGEST_PARSED_WHOLE: Final = 256 * 1024
"""Bytes that are parsed by orjson, which holds the interpreter lock until it is done: at most a few milliseconds."""

# Parsing holds the interpreter lock until it is done, and takes time per value, however short: thirty megabytes of
# empty arrays took seconds. A registration with ten thousand versions has some 900,000 of these marks.
MOST_MARKS = 2_000_000
_MARKS = (b",", b":", b"[", b"{")
_COUNTED_AT_ONCE = 1_000_000

_MOST_DIGITS: Final = 20  # of an integer of 64 bits
_SHOWN: Final = 30

# A surrogate pair, half of one (the group), or any other escape.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)", re.DOTALL
)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_object(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `body`; `what` names the document in the error.

    Raises:
        UnreadableDocument: not JSON, not an object, or deeper or with more values than any document of the protocol.
    """
    value = _read(body, what)
    if not isinstance(value, dict):
        raise UnreadableDocument(what, "expected a JSON object")
    return value


def read_array(body: bytes, what: str) -> list[Any]:
    """As `read_object`, for an array."""
    value = _read(body, what)
    if not isinstance(value, list):
        raise UnreadableDocument(what, "expected a JSON array")
    return value


def write(value: object) -> bytes:
    """Serialise a document.

    Raises:
        DocumentTooLarge: it exceeds LARGEST_DOCUMENT bytes. Writers of documents that may do so shrink them first.
    """
    written = orjson.dumps(value)
    if len(written) > LARGEST_DOCUMENT:
        raise DocumentTooLarge("this document", LARGEST_DOCUMENT)
    # orjson over-allocates its result: a small document would hold eight times its size in the hot table, which is
    # limited by the lengths of the documents. The copy has exactly its own size.
    return bytes(memoryview(written))


def text_of(value: object) -> str:
    """`value` if it is a string, else "": for optional fields."""
    return value if isinstance(value, str) else ""


def is_absolute_url(value: object) -> bool:
    return isinstance(value, str) and value[:8].lower().startswith(("http://", "https://"))


def _read(body: bytes, what: str) -> Any:
    # Some static servers put a byte order mark first; clients skip it, orjson does not.
    text = body.removeprefix(_BYTE_ORDER_MARK)
    if len(text) > MOST_MARKS:
        _check_marks(text, what)
    try:
        value = orjson.loads(text) if len(text) <= LONGEST_PARSED_WHOLE else _long(text)
    except ValueError as error:
        raise UnreadableDocument(what, f"not JSON ({getattr(error, 'msg', error)})") from error
    except RecursionError as error:
        raise UnreadableDocument(what, "nested too deeply") from error
    if text.count(b"{") + text.count(b"[") > DEEPEST:
        _check_depth(value, what)
    return value


def _long(text: bytes) -> Any:
    """Parse like `orjson.loads`, slightly slower, but let other threads run after each object.

    The standard library's parser is also written in C, but it calls these Python functions, and in a Python function a
    thread releases the interpreter lock if another thread wants it. An array of texts is still parsed in one go;
    MOST_MARKS limits it.

    Raises:
        ValueError: orjson would refuse it as well.
        RecursionError: nested too deeply.
    """
    if b"\\ud" in text or b"\\uD" in text:
        _check_surrogates(text)
    return json.loads(
        text.decode(), object_hook=_as_it_is, parse_int=_integer, parse_float=_finite, parse_constant=_refuse_constant
    )


def _as_it_is(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _integer(text: str) -> int | float:
    """A float if beyond 64 bits, which orjson could not write as an integer."""
    number = int(text) if len(text) <= _MOST_DIGITS else None
    return number if number is not None and -(2**63) <= number < 2**64 else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"a number is out of range: {text[:_SHOWN]}")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _check_surrogates(text: bytes) -> None:
    """Refuse an unpaired surrogate: it could not be written again."""
    if any(escape[1] for escape in _ESCAPE.finditer(text)):
        raise ValueError("an unpaired surrogate")


def _check_marks(text: bytes, what: str) -> None:
    """Counts in chunks, so that other threads can run in between."""
    marks = 0
    for start in range(0, len(text), _COUNTED_AT_ONCE):
        marks += sum(text.count(mark, start, start + _COUNTED_AT_ONCE) for mark in _MARKS)
        if marks > MOST_MARKS:
            raise UnreadableDocument(what, f"it has more than {MOST_MARKS} commas, colons and brackets")


def _check_depth(value: Any, what: str) -> None:
    """Walk level by level, in Python, so that other threads can run in between."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise UnreadableDocument(what, "nested too deeply")
