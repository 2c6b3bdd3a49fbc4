"""Show the settings as TOML, with secrets masked."""

import json
import re

from nugetproxy.config.models import Config
from nugetproxy.config.values import Section

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))
_SIZE_KEYS = frozenset(
    {
        "cache_size",
        "documents_size",
        "hot_disk",
        "hot_memory",
        "max_body",
        "max_package_size",
        "max_symbols_size",
        "max_unpacked_size",
        "memory_relay",
        "mirror_budget",
        "reserve",
    }
)


def describe(config: Config) -> str:
    """The settings in effect, as valid TOML; a value that is not the default has a comment with the default.

    Secrets are in files, of which only the names are shown; passwords and queries in URLs are masked.
    """
    return "\n".join(_lines(config, Config(), "")).strip() + "\n"


def masked(key: str, value: object) -> str:
    """One value as TOML; the user and the query values of a URL are replaced with ***."""
    if isinstance(value, str):
        if "://" in value:
            value = re.sub(r"([?&][^=&\s]*=)[^&\s]+", r"\1***", value)
        value = re.sub(r"(://[^/@\s:]*):\S*@", r"\1:***@", value)
        return json.dumps(re.sub(r"://[^/@\s:]+@", "://***@", value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(masked(key, each) for each in value) + "]"
    if isinstance(value, float):
        return json.dumps(_duration(value))
    if isinstance(value, int) and key in _SIZE_KEYS:
        return json.dumps(_size(value))
    return str(value)


def _lines(section: Section, default: Section, name: str) -> list[str]:
    tables: list[str] = []
    lines: list[str] = []
    for key in type(section).model_fields:
        value = getattr(section, key)
        usual = getattr(default, key)
        path = f"{name}.{key}" if name else key
        if isinstance(value, Section):
            tables += _lines(value, usual, path)
        elif isinstance(value, tuple) and value and isinstance(value[0], Section):
            for each in value:
                tables += ["", f"[[{path}]]", *_lines(each, type(each)(), "")]
        else:
            note = "" if value == usual else f"  # default {masked(key, usual)}"
            lines.append(f"{key} = {masked(key, value)}{note}")
    heading = ["", f"[{name}]"] if name and lines else []
    return [*heading, *lines, *tables]


def _duration(seconds: float) -> str:
    for unit, letter in _UNITS:
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f}{letter}"
    return f"{seconds:g}s" if seconds == 0 or seconds >= 1 else f"{seconds * 1000:g}ms"


def _size(size: int) -> str:
    for unit, name in _SIZES:
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
