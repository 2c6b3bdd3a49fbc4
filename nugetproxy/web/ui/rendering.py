"""Templates to HTML. Every value is escaped unless a `Markup` says that it is HTML already.

Templates are compiled when they are first used, and read as package data, so they are found inside an archive too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from nugetproxy.web.ui.assets import hashed_name

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """The whole page. `template` is a file name in `templates/`."""
    return _ENVIRONMENT.get_template(template).render(values).encode("utf-8", "replace")


def size_text(size: int) -> str:
    """Bytes as people read them, in powers of ten: "1.4 MB"."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 99.5 else f"{amount:.1f} {_UNITS[unit]}"


def day_text(seconds: float) -> str:
    """The day of a time in unix seconds, in UTC: "3 Dec 2026"."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b %Y}"


def moment_text(seconds: float) -> str:
    """For the `datetime` attribute of a <time>."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count_text(number: int) -> str:
    """With thousands separated: "12,345"."""
    return f"{number:,}"


def _source(name: str) -> str | None:
    try:
        return files(__package__).joinpath("templates", name).read_text("utf-8")
    except FileNotFoundError:
        return None


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(size=size_text, day=day_text, moment=moment_text, count=count_text)
    environment.globals.update(hashed_name=hashed_name)
    return environment


_ENVIRONMENT: Final = _environment()
