"""Build a `Config` from defaults, file, environment and command line, or report all problems with them.

Each source is merged over the previous ones as plain tables; then the models validate the result once. Rules for single
values are in `config.models`, rules between values in `config.checks`.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from nugetproxy.config.checks import problems_between
from nugetproxy.config.models import Config
from nugetproxy.config.shown import masked
from nugetproxy.config.upstream_names import distinct_names
from nugetproxy.config.values import Section
from nugetproxy.errors import ConfigError

Place = tuple[str | int, ...]
"""The path of a value: ("mirroring", "upstream", 0, "name")."""

PREFIX = "NUGETPROXY_"

CONFIG_FILE = "NUGETPROXY_CONFIG"
"""The variable with the path of the configuration file."""

NOT_SETTINGS = frozenset(
    {
        CONFIG_FILE,
        *(
            f"NUGETPROXY_{name}"
            for name in ("CLIENTS", "SHARED", "TEST_DATABASE", "TEST_DEPLOYMENT", "TEST_PICTURES", "VENV")
        ),
    }
)
"""Variables that are not settings; all but the first are for the project's own scripts, and are never suggested."""

# In the variable of an upstream's setting. More than four digits are no index, and thousands cannot even be read.
_INDEX = re.compile(r"__(\d{1,4})__", re.ASCII)

# Characters of a value, and of a problem, that are shown.
_LONGEST_VALUE = 200
_LONGEST_PROBLEM = 1_000


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Config:
    """Read the settings: defaults < file < NUGETPROXY_* environment < `overrides` (dotted keys).

    If `path` is None, NUGETPROXY_CONFIG names the file, if set. An override of "mirroring.upstream" may be a list of
    service index URLs; those that the file has keep their settings from there.

    Raises ConfigError with all problems: unknown keys and variables (with the nearest known name), invalid values,
    values that contradict each other, files that cannot be read.
    """
    gathered = _Gathered()
    if path is None and environ.get(CONFIG_FILE):
        path = Path(environ[CONFIG_FILE])
    if path is not None:
        gathered.add_file(path)
    gathered.add_environment(environ)
    gathered.add_overrides(overrides or {})
    return gathered.judged()


def keys() -> dict[Place, Any]:
    """All settings and the types of their values; those in a list of tables are at index 0."""
    return dict(_keys_of(Config, ()))


def variable(place: Place) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(part).upper() for part in place)


def dotted(place: Place) -> str:
    """The path as text: mirroring.upstream[0].name"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _keys_of(model: type[Section], above: Place) -> Iterator[tuple[Place, Any]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _keys_of(kind, (*above, name))
            continue
        yield (*above, name), kind
        if (item := _item_of(kind)) is not None:
            yield from _keys_of(item, (*above, name, 0))


def _item_of(kind: Any) -> type[Section] | None:
    """The section type of a list of tables; None for any other type."""
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if isinstance(item, type) and issubclass(item, Section):
            return item
    return None


class _Gathered:
    """The values so far, the origin of each, and the problems found."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = Config().model_dump()
        # Empty, so that an upstream with only a URL is named after it.
        self.values["mirroring"]["upstream"] = [{}]
        self.values["policy"]["rule"] = []
        self.origins: dict[Place, str] = {}
        self.problems: list[str] = []

    def add_file(self, path: Path) -> None:
        try:
            content = tomllib.loads(path.read_bytes().decode())
        except FileNotFoundError:
            self.problems.append(f"{path}: there is no such file")
        except OSError as failed:
            self.problems.append(f"{path}: cannot be read: {failed.strerror}")
        except UnicodeDecodeError:
            self.problems.append(f"{path}: is not UTF-8 text")
        except RecursionError:
            self.problems.append(f"{path}: is not valid TOML: nested too deeply")
        except ValueError as wrong:  # also of a number with thousands of digits
            self.problems.append(f"{path}: is not valid TOML: {wrong}")
        else:
            self._lay_over(self.values, content, (), f"in {path}")

    def add_environment(self, environ: Mapping[str, str]) -> None:
        known = {variable(place): (place, kind) for place, kind in keys().items()}
        found: list[tuple[Place, str, Any]] = []
        for name in environ:
            if not name.startswith(PREFIX) or name in NOT_SETTINGS:
                continue
            pattern = _INDEX.sub("__0__", name)
            if pattern not in known:
                near = _nearest_variable(pattern, known)
                self.problems.append(f"{_cut(name, _LONGEST_VALUE)}: unknown variable{near}")
                continue
            place, kind = known[pattern]
            if index := _INDEX.search(name):
                place = tuple(int(index[1]) if part == 0 else part for part in place)
            found.append((place, name, kind))
        for place, name, kind in sorted(found, key=lambda each: each[0]):
            text = environ[name]
            try:
                self._set(place, _listed(text) if get_origin(kind) is tuple else text, f"from {name}")
            except ValueError as wrong:
                self.problems.append(f"{name}: {wrong}")

    def add_overrides(self, overrides: Mapping[str, object]) -> None:
        for key, value in overrides.items():
            if key == "mirroring.upstream" and isinstance(value, list) and all(isinstance(url, str) for url in value):
                value = self._upstreams_at(value)
            self._set(tuple(key.split(".")), value, "on the command line")

    def judged(self) -> Config:
        """The settings. Raises ConfigError if there are any problems."""
        config, refused = self._validated()
        if refused:
            # The checks between values still run for the rest, so that one start shows all problems.
            for place in refused:
                self._forget(place)
            config, _ = self._validated(quiet=True)
        # Without its invalid values, a rule may seem to lack what it has.
        broken = {place[:3] for place in refused if place[:2] == ("policy", "rule")}
        if config is not None:
            self.problems += [
                f"{self._named(place)}: {why}{self._origin(place)}"
                for place, why in problems_between(config)
                if place not in refused and place[:3] not in broken
            ]
        if self.problems or config is None:
            raise ConfigError([_one_line(problem) for problem in self.problems])
        return config

    def _validated(self, *, quiet: bool = False) -> tuple[Config | None, list[Place]]:
        try:
            return Config.model_validate(self.values), []
        except ValidationError as wrong:
            errors = wrong.errors(include_url=False, include_context=False)
        # A list whose items are all invalid is also reported as empty; the items say more.
        errors = [error for error in errors if error["type"] != "too_short" or not self._value_at(error["loc"])]
        if not quiet:
            self.problems += [self._sentence(error["loc"], error["type"], error["msg"]) for error in errors]
        return None, [error["loc"] for error in errors]

    def _sentence(self, place: Place, kind: str, message: str) -> str:
        origin = self._origin(place)
        named = self._named(place)
        if kind == "extra_forbidden":
            return f"{named}: unknown key{origin}{_nearest_key(place)}"
        value = self._value_at(place)
        if kind == "too_short":
            return f"{named}: expected at least one{origin}"
        message = (
            message.removeprefix("Value error, ")
            .replace("Input should be", "expected")
            .replace("String should have", "expected")
        )
        message = message.replace("valid tuple", "list").replace("valid dictionary or instance of", "table of")
        got = (
            f", not {_cut(masked(str(place[-1]), value), _LONGEST_VALUE)}"
            if isinstance(value, str | int | float)
            else ""
        )
        return f"{named}: {message}{got}{origin}"

    def _named(self, place: Place) -> str:
        """The path, and the name of the policy rule that it belongs to."""
        name = self._value_at((*place[:3], "name")) if place[:2] == ("policy", "rule") else None
        return f"{dotted(place)} (rule {name!r})" if isinstance(name, str) and name else dotted(place)

    def _origin(self, place: Place) -> str:
        """The origin of the value at a path, or of the nearest one above; empty for a default."""
        while place:
            if place in self.origins:
                return f" ({self.origins[place]})"
            place = place[:-1]
        return ""

    def _lay_over(self, below: dict[str, Any], above: Mapping[str, Any], place: Place, origin: str) -> None:
        for key, value in above.items():
            here = (*place, key)
            self.origins[here] = origin
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                self._lay_over(below[key], value, here, origin)
            else:
                below[key] = value

    def _set(self, place: Place, value: object, origin: str) -> None:
        """Raises ValueError if an index leaves a gap."""
        container: Any = self.values
        for part in place[:-1]:
            if isinstance(part, int):
                if not isinstance(container, list) or part > len(container):
                    raise ValueError("the indexes of a list of tables must count from 0 without a gap")
                if part == len(container):
                    container.append({})
                container = container[part]
            else:
                container = container.get(part) if isinstance(container, dict) else None
        if isinstance(container, dict):  # otherwise the file has another type here, which the models report
            container[place[-1]] = value
            self.origins[place] = origin

    def _upstreams_at(self, urls: list[str]) -> list[dict[str, Any]]:
        """A table for each URL: the existing one, or a new one with a distinct name."""
        described = self.values["mirroring"]["upstream"] if isinstance(self.values["mirroring"], dict) else []
        tables = [each for each in described if isinstance(each, dict)] if isinstance(described, list) else []
        known = {str(table.get("service_index")): table for table in reversed(tables)}
        named = zip(urls, distinct_names(urls), strict=True)
        return [known.get(url, {"name": name, "service_index": url}) for url, name in named]

    def _value_at(self, place: Place) -> object:
        value: Any = self.values
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _forget(self, place: Place) -> None:
        # An invalid list item resets the whole list; an invalid value in an upstream table resets only that value.
        while place and isinstance(place[-1], int):
            place = place[:-1]
        container = self._value_at(place[:-1])
        if not isinstance(container, dict):
            return
        default: Any = Config().model_dump()
        for part in place:
            default = default.get(part) if isinstance(default, dict) else None
        if default is None:
            container.pop(place[-1], None)
        else:
            container[place[-1]] = default


def _one_line(problem: str) -> str:
    """Names and values may hold anything."""
    return _cut("".join(c if c.isprintable() else "?" for c in problem), _LONGEST_PROBLEM)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _listed(text: str) -> list[Any]:
    """Parse a list in JSON or TOML. Raises ValueError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = tomllib.loads(f"list = {text}")["list"]
        except (ValueError, RecursionError):
            value = None
    if isinstance(value, list):
        return value
    raise ValueError('expected a list such as ["a", "b"]')


def _nearest_variable(name: str, known: Iterable[str]) -> str:
    """Compares without the common prefix, which alone would make all names similar."""
    candidates = [each.removeprefix(PREFIX) for each in (*known, CONFIG_FILE)]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), candidates, n=1, cutoff=0.8)
    return f"; did you mean {PREFIX}{near[0]}?" if near else ""


def _nearest_key(place: Place) -> str:
    """The most similar known key: first in the same table, then anywhere."""
    name = str(place[-1])
    generic = tuple(0 if isinstance(part, int) else part for part in place)
    tables = {known[:depth] for known in keys() for depth in range(1, len(known) + 1)}
    neighbours = {str(known[-1]): known for known in tables if known[:-1] == generic[:-1] and known[-1] != 0}
    near = difflib.get_close_matches(name, neighbours, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {dotted((*place[:-1], near[0]))}?"
    elsewhere = {str(known[-1]): known for known in sorted(tables, key=len, reverse=True) if known[-1] != 0}
    near = difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.8)
    return f"; did you mean {dotted(elsewhere[near[0]])}?" if near else ""
