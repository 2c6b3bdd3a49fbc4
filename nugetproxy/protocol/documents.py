"""JSON documents as bytes: the one place where strangers' bytes become values, and values become bytes.

Rule 1: whatever is wrong with the bytes leaves here as UnreadableDocument.
Rule 2: a value that was read can be written again, inside any document of ours.
"""

from typing import Any

import orjson

from nugetproxy.errors import DocumentTooLarge, UnreadableDocument
from nugetproxy.protocol.bounds import LARGEST_DOCUMENT

# The deepest document of the protocol has about ten levels. orjson reads 1,024 and writes 254, and what rewrites
# documents here calls itself once or twice for each level: this keeps far from both ends.
DEEPEST = 64
_DEEPEST_WRITABLE = 254

# Parsing holds the interpreter until it is done, and takes as long as there are values, however short they are: thirty
# megabytes of empty arrays took seconds. A registration of ten thousand versions has some 900,000 of these marks.
MOST_MARKS = 2_000_000
_MARKS = (b",", b":", b"[", b"{")
_COUNTED_AT_ONCE = 1_000_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_object(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `body`; `what` names the document in the error.

    Raises:
        UnreadableDocument: no JSON, no object, or nested deeper or of more values than any document of the protocol.
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
    """A document.

    Raises:
        DocumentTooLarge: it has more than LARGEST_DOCUMENT bytes. What may have is made smaller by its writer.
    """
    written = orjson.dumps(value)
    if len(written) > LARGEST_DOCUMENT:
        raise DocumentTooLarge("this document", LARGEST_DOCUMENT)
    # orjson leaves the room it wrote in to its result: a small document would hold eight times its size in the hot
    # table, which is bounded by the documents' lengths. The copy has its own size.
    return bytes(memoryview(written))


def text_of(value: object) -> str:
    """`value` if it is a text, else an empty one: for fields that a document may leave out."""
    return value if isinstance(value, str) else ""


def is_absolute_url(value: object) -> bool:
    return isinstance(value, str) and value[:8].lower().startswith(("http://", "https://"))


def _read(body: bytes, what: str) -> Any:
    # Some static servers put a byte order mark in front; the clients skip it, orjson does not.
    text = body.removeprefix(_BYTE_ORDER_MARK)
    if len(text) > MOST_MARKS:
        _check_marks(text, what)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableDocument(what, f"not JSON ({error.msg})") from error
    if text.count(b"{") + text.count(b"[") > DEEPEST:
        _check_depth(value, what)
    return value


def _check_marks(text: bytes, what: str) -> None:
    """Counts piece by piece, so that other threads run in between."""
    marks = 0
    for start in range(0, len(text), _COUNTED_AT_ONCE):
        marks += sum(text.count(mark, start, start + _COUNTED_AT_ONCE) for mark in _MARKS)
        if marks > MOST_MARKS:
            raise UnreadableDocument(what, f"it has more than {MOST_MARKS} commas, colons and brackets")


def _check_depth(value: Any, what: str) -> None:
    """Refuse what could not be written again. A trial is several times cheaper than walking the values in Python."""
    nested = value
    for _ in range(_DEEPEST_WRITABLE - DEEPEST):
        nested = [nested]
    try:
        orjson.dumps(nested)
    except orjson.JSONEncodeError as error:
        raise UnreadableDocument(what, "nested too deeply") from error
