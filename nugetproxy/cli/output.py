"""How commands report: tables and sentences for people, JSON for scripts, problems on standard error.

Standard output contains only the result, in one format, for scripts to read. With --json a problem is one JSON object
on a line of its own on standard error. Exit codes: 0 done, 1 refused, 2 usage error, 78 unusable settings.
"""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import click

from nugetproxy.errors import InvalidRequest, NugetproxyError

REFUSED: Final = 1
USAGE: Final = 2
BAD_SETTINGS: Final = 78  # EX_CONFIG, sysexits(3)

_AS_JSON: Final = "nugetproxy.json"


def set_json(context: click.Context, as_json: bool) -> None:
    """Record whether the running command was given --json, even while its arguments are still being parsed."""
    context.meta[_AS_JSON] = as_json


def is_json() -> bool:
    """Whether problems and notes are printed as JSON."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_AS_JSON))


def print_json(value: object) -> None:
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> None:
    """Columns as wide as their longest value. Without rows, the sentence `none` on standard error."""
    if not rows:
        click.echo(none, err=True)
        return
    lines = [heads, *([printable(text) for text in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """One object with many properties: a name and its value per line, further lines of a value below it."""
    width = max(len(name) for name, _ in fields) + 2
    for name, value in fields:
        first, *more = map(printable, value.splitlines() or [""])
        click.echo(f"{name + ':':{width}}{first}".rstrip())
        for line in more:
            click.echo(f"{'':{width}}{line}")


def report(as_json: bool, value: dict[str, Any], sentence: str) -> None:
    """What a command did: `value` with --json, else `sentence`."""
    if as_json:
        print_json(value)
    else:
        click.echo(sentence)


def iso(microseconds: int | None) -> str | None:
    """A time in the format for scripts: UTC, whole seconds."""
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def complain(problems: Sequence[str], kind: str = "error", code: int = REFUSED) -> None:
    """Report problems on standard error. `kind` is a word for scripts; `code` is the exit code of the program."""
    if is_json():
        _print_json_line({"error": "; ".join(problems), "kind": kind, "exit_code": code, "problems": list(problems)})
        return
    for problem in problems:
        click.echo(f"nugetproxy: {problem}", err=True)


def note(sentence: str) -> None:
    """A remark on standard error, so that it never mixes with the result."""
    if is_json():
        _print_json_line({"note": sentence})
    else:
        click.echo(f"nugetproxy: {sentence}", err=True)


def refuse(error: NugetproxyError) -> NoReturn:
    """Report the error on standard error, and exit."""
    code = USAGE if isinstance(error, InvalidRequest) else REFUSED
    complain([str(error)], kind_of(error), code)
    sys.exit(code)


def kind_of(error: Exception) -> str:
    """The name of an error's class for scripts: AccountNotFound is "account_not_found"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def printable(text: str) -> str:
    """The text without control characters: package authors choose some texts, and a terminal obeys escape sequences."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _print_json_line(value: object) -> None:
    import orjson

    click.echo(orjson.dumps(value).decode(), err=True)
