"""Text and JSON as the .NET tools read them: byte order marks, comments and trailing commas are accepted."""

import re
from typing import Any, Final

import orjson

from nugetproxy.errors import InvalidRequest

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_SHOWN: Final = 100

# Each token is matched to its end or that of the file, so that no text takes more than linear time.
_STRING: Final = r'"(?:[^"\\\n]|\\.)*+"?'
_COMMENT: Final = re.compile(_STRING + r"|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?")
_TRAILING_COMMA: Final = re.compile(_STRING + r"|,(?=\s*+[}\]])")


def one_line(text: str) -> str:
    """Untrusted text for a message: short and printable."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return "".join(c if c.isprintable() else "?" for c in cut)


def decoded(name: str, data: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark. Raises InvalidRequest."""
    mark, encoding = next((each for each in _MARKS if data.startswith(each[0])), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{name}: not {encoding[:6].rstrip('-').upper()} text (byte {error.start})") from error


def read_json(name: str, data: bytes) -> dict[str, Any]:
    """The object in a file. Raises InvalidRequest with file and line."""
    text = decoded(name, data)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = orjson.loads(_plain(text))
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"{name}, line {error.lineno}: not valid JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{name}: expected a JSON object")
    return document


def _plain(text: str) -> str:
    """Without comments and trailing commas; line ends stay, so that errors name the right line."""

    def lines_only(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else " " + "\n" * match[0].count("\n")

    return _TRAILING_COMMA.sub(lines_only, _COMMENT.sub(lines_only, text))
