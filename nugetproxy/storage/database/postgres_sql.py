"""What PostgreSQL wants differently from SQLite: numbered parameters. And its failures, in our terms. No I/O."""

import os
import re
import socket
import ssl
from functools import lru_cache
from typing import Final

import asyncpg

from nugetproxy.errors import ConstraintViolated, NugetproxyError, StorageUnavailable, TakesNoChanges

# Texts and comments, which are left as they are; or a parameter, with its number if it has one.
_PARTS: Final = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|(?P<parameter>\?(?P<number>[0-9]*))", re.DOTALL
)

_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*")
_CHANGED: Final = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM|TRUNCATE)\s+(?!SET\b)([a-z_][a-z0-9_]*)")

# What the driver says of a parameter: its number, then its value, then why it is refused.
_ARGUMENT: Final = re.compile(r".*\$(?P<number>[0-9]+): .*\((?P<why>.*)\)", re.DOTALL)


class Conflict(StorageUnavailable):
    """The transaction met another one, or a migration, and may succeed when it is repeated."""


class ConnectionLost(StorageUnavailable):
    """The server went away, or never answered. What was asked of it may have been done."""


@lru_cache(1024)
def numbered(sql: str, after: int = 0) -> str:
    """The statement with `$1`, `$2` for its parameters, which are `?` or `?1` there; counted as SQLite counts them, but
    from the one after `after`.
    """
    last = 0

    def replace(part: re.Match[str]) -> str:
        nonlocal last
        if part["parameter"] is None:
            return part[0]
        number = int(part["number"] or last + 1)
        last = max(last, number)
        return f"${after + number}"

    return _PARTS.sub(replace, sql)


@lru_cache(256)
def together(statements: tuple[tuple[str, int], ...]) -> str:
    """One statement for several changes, each of which has so many parameters.

    None of them sees what another one does, and their order is not fixed: none may concern another. Foreign keys are
    checked, and triggers run, when all of them are done.
    """
    parts, after = [], 0
    for number, (sql, parameters) in enumerate(statements):
        parts.append(f"part{number} AS ({numbered(sql, after)})")
        after += parameters
    return f"WITH {', '.join(parts)} SELECT"


@lru_cache(256)
def side_by_side(queries: tuple[tuple[str, int], ...]) -> str:
    """One query for the rows of these, each of which has so many parameters: one array of rows for each."""
    parts, after = [], 0
    for sql, parameters in queries:
        parts.append(f"(SELECT array_agg(found) FROM ({numbered(sql, after)}) AS found)")  # noqa: S608 - ours
        after += parameters
    return f"SELECT {', '.join(parts)}"


def concerns(change: str, other: str) -> bool:
    """Whether a statement changes a table that another one names. What a trigger changes is not known here."""
    changed = _changed(change)
    return not changed or not changed.isdisjoint(_words(other))


@lru_cache(1024)
def _words(sql: str) -> frozenset[str]:
    return frozenset(_WORD.findall(sql))


@lru_cache(1024)
def _changed(sql: str) -> frozenset[str]:
    return frozenset(_CHANGED.findall(sql))


def in_our_terms(error: Exception) -> Exception:
    """What a failure of the driver means. Its message is one line, without values or addresses."""
    if isinstance(error, NugetproxyError):
        return error
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return StorageUnavailable("the parameters do not fit the statement")
    if isinstance(error, OSError):  # also a timeout
        return ConnectionLost(f"PostgreSQL cannot be reached: {_reason(error)}")
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return ConnectionLost(f"PostgreSQL cannot be reached: {one_line(error)}")
    return error


def _of_server(error: asyncpg.PostgresError) -> Exception:
    told = one_line(error.message or (error.args[0] if error.args else ""))
    state = error.sqlstate or ""
    match state[:2]:
        case "NP":  # ours: see the function require_no_hold
            return TakesNoChanges(told)
        case "23":
            return ConstraintViolated(told)
        case "22" if error.message is None:  # raised by the driver
            found = _ARGUMENT.fullmatch(told)
            which, why = (found["number"], found["why"]) if found else ("of a statement", "it has the wrong type")
            return ConstraintViolated(f"PostgreSQL cannot store parameter {which}: {why}")
        case "22":
            why = "text must not contain NUL" if state == "22021" else told
            return ConstraintViolated(f"PostgreSQL cannot store a value: {why}")
        case "40" if state != "40003":
            return Conflict(f"PostgreSQL: {told}")
        case "08" | "40":
            return ConnectionLost(f"PostgreSQL cannot be reached: {told}")
        case "25" if state == "25006":
            # After a failover, this is the old primary.
            return ConnectionLost(f"PostgreSQL is read-only here: {told}")
        case "53" | "57" if state != "57014":
            return ConnectionLost(f"PostgreSQL cannot be reached: {told}")
        case "28" | "3D":
            return ConnectionLost("PostgreSQL refuses the connection; the server's log has details")
    if isinstance(error, asyncpg.exceptions.InvalidCachedStatementError | asyncpg.exceptions.OutdatedSchemaCacheError):
        return Conflict(f"PostgreSQL: {told}")
    return StorageUnavailable(f"PostgreSQL: {told}")


def _reason(error: OSError) -> str:
    """Why, without the address: clients see it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason})"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(error.errno) if error.errno else "the connection failed"


def one_line(what: object) -> str:
    return " ".join(str(what).split())
