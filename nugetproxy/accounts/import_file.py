"""A file of users, as `user import` reads it: CSV or JSON text in, users and problems out. Pure.

How they apply to the existing accounts is decided in `importing`.
"""

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nugetproxy.accounts.model import Role, checked_account_name
from nugetproxy.errors import InvalidRequest

COLUMNS: Final = ("name", "administrator", "organizations")

_TRUE: Final = frozenset({"yes", "true", "1"})
_FALSE: Final = frozenset({"no", "false", "0"})
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """One user of the file. `line` counts from 1. `administrator` None: unchanged. `roles` by organisation."""

    line: int
    name: str
    administrator: bool | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason to refuse the file: a sentence about one line."""

    line: int
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


def read_users(text: str) -> tuple[list[ImportedUser], list[Problem]]:
    """The users of a file, and everything wrong with it. JSON if it begins with a bracket or brace, else CSV.

    CSV: a first line with the column names, separated by commas or semicolons. `administrator` is yes or no, or empty
    for no change; `organizations` is a list separated by spaces, each `Name` or `Name:administrator`.

    JSON: an array of objects with the same fields; `organizations` is an object of roles, or an array of names.
    """
    entries = _from_json(text) if text.lstrip()[:1] in ("[", "{") else _from_csv(text)
    users: list[ImportedUser] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for line, values in entries:
        if isinstance(values, str):
            problems.append(Problem(line, values))
            continue
        user, wrong = _user(line, values)
        problems += [Problem(line, why) for why in wrong]
        if user is None:
            continue
        first = seen.setdefault(user.name.lower(), line)
        if first != line:
            problems.append(Problem(line, f"{user.name} is already on line {first}"))
        users.append(user)
    return users, problems


_Entry = tuple[int, dict[str, Any] | str]
"""A line, and the values of a user on it, or why there are none."""


def _from_csv(text: str) -> Iterator[_Entry]:
    first = text.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None:
                columns = [cell.lower() for cell in cells]
                unknown = [cell for cell in columns if cell not in COLUMNS]
                if unknown or "name" not in columns or len(set(columns)) < len(columns):
                    yield reader.line_num, _wrong_columns(columns, unknown)
                    return
            elif len(cells) != len(columns):
                yield reader.line_num, f"expected {len(columns)} columns, found {len(cells)}"
            else:
                yield reader.line_num, {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
    except csv.Error as error:
        yield reader.line_num, f"not CSV: {error}"
        return
    if columns is None:
        yield 1, f"the file is empty; expected a first line with the columns {', '.join(COLUMNS)}"


def _wrong_columns(columns: list[str], unknown: list[str]) -> str:
    if unknown:
        return f"unknown column {_shown(unknown[0])}{_nearest(unknown[0])}"
    if "name" not in columns:
        return "there is no column 'name'"
    return "a column appears twice"


def _from_json(text: str) -> Iterator[_Entry]:
    """Element by element, because json reports no line numbers of what it has read."""
    decoder = json.JSONDecoder()
    position = _skip(text, 0)
    if text[position] != "[":
        yield _line(text, position), "expected an array of users"
        return
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        return
    while True:
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            yield error.lineno, f"not JSON: {error.msg}"
            return
        except RecursionError:
            yield _line(text, position), "not JSON: nested too deeply"
            return
        except ValueError:
            yield _line(text, position), "not JSON: a number has too many digits"
            return
        line = _line(text, position)
        yield line, value if isinstance(value, dict) else "expected an object with a name"
        position = _skip(text, end)
        following = text[position : position + 1]
        if following == "]":
            if rest := text[position + 1 :].strip():
                yield _line(text, position), f"unexpected {_shown(rest)} after the array"
            return
        if following != ",":
            yield _line(text, min(position, len(text) - 1)), "not JSON: expected a comma or the end of the array"
            return
        position = _skip(text, position + 1)


def _user(line: int, values: dict[str, Any]) -> tuple[ImportedUser | None, list[str]]:
    problems = [f"unknown field {_shown(name)}{_nearest(name)}" for name in values if name not in COLUMNS]
    name = values.get("name", "")
    try:
        if not isinstance(name, str):
            raise InvalidRequest("the name is not a string")
        if not name:
            raise InvalidRequest("the name is missing")
        checked_account_name(name)
    except InvalidRequest as error:
        return None, [*problems, str(error)]
    administrator, roles = None, dict[str, Role]()
    try:
        administrator = _yes_or_no(values.get("administrator"))
    except InvalidRequest as error:
        problems.append(str(error))
    for organization, role in _organizations(values.get("organizations")):
        try:
            known = {each.lower(): each for each in roles}
            if organization.lower() in known:
                raise InvalidRequest(f"organisation {_shown(organization)} is named twice")
            roles[checked_account_name(organization)] = _role(role)
        except InvalidRequest as error:
            problems.append(str(error))
    return ImportedUser(line, name, administrator, roles), problems


def _yes_or_no(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise InvalidRequest(f"administrator is {_shown(value)}; expected yes or no")
    return text in _TRUE


def _organizations(value: object) -> Iterator[tuple[str, object]]:
    """Names and roles, unchecked. A text in any other form is returned as a name that will be refused."""
    if isinstance(value, dict):
        yield from value.items()
        return
    names = value.split() if isinstance(value, str) else value if isinstance(value, list) else [value] if value else []
    for each in names:
        name, _, role = str(each).partition(":")
        yield name, role or Role.COLLABORATOR.value


def _role(value: object) -> Role:
    try:
        return Role(str(value).lower())
    except ValueError:
        raise InvalidRequest(f"the role {_shown(value)} is unknown; expected {' or '.join(Role)}") from None


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), COLUMNS, n=1)
    return f"; did you mean {near[0]}?" if near else f"; expected {', '.join(COLUMNS)}"


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
