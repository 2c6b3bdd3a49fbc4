"""Property functions: methods of strings, and the static ones that project files commonly use.

Those that look at files or at the machine are in `scope.py`. Every other raises NotKnown: the value is then doubtful.
Source: docs.microsoft.com, visualstudio/msbuild/property-functions.
"""

import math
import posixpath
import re
from collections.abc import Callable, Sequence
from typing import Final

from nugetproxy.nuget.compatibility import nearest
from nugetproxy.nuget.framework import Framework, find_framework
from nugetproxy.nuget.projects.msbuild.values import NotKnown, unescaped

Value = str | int | bool | list[str] | tuple[int, ...] | None
"""A tuple is a System.Version."""

LONGEST: Final = 1_000_000
"""Characters of one value: a value that doubles itself line by line ends here."""


def shown(value: Value) -> str:
    """The text of a value, as MSBuild puts it into a string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    return ";".join(value) if isinstance(value, list) else str(value)


def call_member(value: Value, name: str, arguments: Sequence[Value] | None) -> Value:
    """A method or property of a value. `arguments` is None without parentheses. Raises NotKnown."""
    lower = name.lower()
    if isinstance(value, tuple) and arguments is None:
        at = _VERSION_PARTS.index(lower) if lower in _VERSION_PARTS else -1
        if at >= 0:
            return value[at] if at < len(value) else -1
    if isinstance(value, tuple) and lower == "tostring" and arguments:
        return shown(value[: _integer(arguments[0])])
    if isinstance(value, list):
        if lower in ("length", "count") and arguments is None:
            return len(value)
        if lower in ("getvalue", "get_item") and arguments:
            return _at(value, _integer(arguments[0]))
    method = _STRING_METHODS.get(lower)
    if method is None or isinstance(value, list):
        raise NotKnown(f"the method {name}")
    try:
        return method(shown(value), *(arguments or ()))
    except (TypeError, ValueError, IndexError) as error:
        raise NotKnown(f"{name} with these arguments") from error


def call_static(type_name: str, name: str, arguments: Sequence[Value] | None) -> Value:
    """A static function. Raises NotKnown."""
    function = _STATIC.get((type_name.lower(), name.lower()))
    if function is None:
        raise NotKnown(f"the property function [{type_name}]::{name}")
    try:
        return function(*(arguments or ()))
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise NotKnown(f"[{type_name}]::{name} with these arguments") from error


def indexed(value: Value, index: str) -> Value:
    """`value[index]`. Raises NotKnown."""
    try:
        return _at(value if isinstance(value, list) else list(shown(value)), int(index))
    except ValueError as error:
        raise NotKnown(f"the index [{index[:50]}]") from error


def target_framework(text: str) -> Framework:
    """Raises ValueError."""
    found = find_framework(text.strip())
    if found is None:
        raise ValueError(text)
    return found


def version_text(numbers: Sequence[int], fewest: int) -> str:
    """`10.0`, with at least so many numbers."""
    kept = list(numbers)
    while len(kept) > fewest and kept[-1] == 0:
        kept.pop()
    return ".".join(map(str, kept))


def platform_of(framework: Framework) -> tuple[str, str]:
    """Name and version of the platform in `net10.0-windows10.0.19041`; the version may be empty."""
    name = framework.profile.rstrip("0123456789.") if framework.identifier == ".NETCoreApp" else ""
    return name, framework.profile[len(name) :] if name else ""


_VERSION_PARTS: Final = ("major", "minor", "build", "revision")


def _at(values: Sequence[str], index: int) -> str:
    if not 0 <= index < len(values):
        raise NotKnown(f"the index [{index}]")
    return values[index]


def _integer(value: Value) -> int:
    return value if isinstance(value, int) else int(shown(value).strip())


def _substring(text: str, start: Value, length: Value = None) -> str:
    first = _integer(start)
    count = len(text) - first if length is None else _integer(length)
    if first < 0 or count < 0 or first + count > len(text):
        raise ValueError
    return text[first : first + count]


def _compares(*arguments: Value) -> tuple[str, str, bool]:
    """Two texts, and whether a third argument says to ignore case."""
    mode = shown(arguments[2]).lower() if len(arguments) > 2 else ""
    return shown(arguments[0]), shown(arguments[1]), "ignorecase" in mode or mode == "true"


def _folded(test: Callable[[str, str], bool]) -> Callable[..., Value]:
    def run(*arguments: Value) -> bool:
        one, other, ignores_case = _compares(*arguments)
        return test(one.lower(), other.lower()) if ignores_case else test(one, other)

    return run


def _replace(text: str, old: Value, new: Value = "") -> str:
    if not shown(old):
        raise ValueError
    if len(text) + text.count(shown(old)) * len(shown(new)) > LONGEST:
        raise NotKnown("a value of more than a million characters")
    return text.replace(shown(old), shown(new))


def _split(text: str, *separators: Value) -> list[str]:
    marks = "".join(map(shown, separators)) or " \t\n\r"
    parts = [""]
    for c in text:
        if c in marks:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _pad(text: str, width: Value, fill: Value = " ") -> tuple[str, int]:
    missing = _integer(width) - len(text)
    if missing > LONGEST:
        raise ValueError
    return shown(fill) * max(0, missing), missing


_STRING_METHODS: Final[dict[str, Callable[..., Value]]] = {
    "length": len,
    "tostring": lambda text: text,
    "tolower": str.lower,
    "tolowerinvariant": str.lower,
    "toupper": str.upper,
    "toupperinvariant": str.upper,
    "trim": lambda text, *marks: text.strip("".join(map(shown, marks)) or None),
    "trimstart": lambda text, *marks: text.lstrip("".join(map(shown, marks)) or None),
    "trimend": lambda text, *marks: text.rstrip("".join(map(shown, marks)) or None),
    "replace": _replace,
    "startswith": _folded(lambda text, part: text.startswith(part)),
    "endswith": _folded(lambda text, part: text.endswith(part)),
    "contains": _folded(lambda text, part: part in text),
    "equals": _folded(lambda text, other: text == other),
    "substring": _substring,
    "indexof": lambda text, part, *_: text.find(shown(part)),
    "lastindexof": lambda text, part, *_: text.rfind(shown(part)),
    "split": _split,
    "insert": lambda text, at, part: text[: _integer(at)] + shown(part) + text[_integer(at) :],
    "remove": lambda text, at, count=None: (
        text[: _integer(at)] + ("" if count is None else text[_integer(at) + _integer(count) :])
    ),
    "padleft": lambda text, width, fill=" ": _pad(text, width, fill)[0] + text,
    "padright": lambda text, width, fill=" ": text + _pad(text, width, fill)[0],
    "get_chars": lambda text, at: text[_integer(at)],
}


def parsed_version(value: Value) -> tuple[int, ...]:
    """As MSBuild reads versions: a `v`, and everything from `-` or `+` on, is ignored; missing numbers are 0."""
    text = shown(value).strip().lstrip("vV").split("-")[0].split("+")[0]
    numbers = tuple(int(part) for part in text.split("."))
    if len(numbers) > 4 or any(number < 0 for number in numbers):
        raise ValueError(text)
    return numbers + (0,) * (4 - len(numbers))


def _versions(test: Callable[[tuple[int, ...], tuple[int, ...]], bool]) -> Callable[..., Value]:
    return lambda one, other: test(parsed_version(one), parsed_version(other))


def _system_version(value: Value) -> tuple[int, ...]:
    return tuple(int(part) for part in shown(value).strip().split("."))


def _arithmetic(function: Callable[[float, float], float]) -> Callable[..., Value]:
    """With whole numbers the result is one, cut off after the point."""

    def run(one: Value, other: Value) -> str:
        texts = shown(one).strip(), shown(other).strip()
        result = function(float(texts[0]), float(texts[1]))
        are_whole = all(text.lstrip("+-").isdigit() for text in texts)
        return str(int(result)) if are_whole or result == int(result) else str(result)

    return run


def _is_compatible(target: Value, candidate: Value) -> bool:
    try:
        nearest(target_framework(shown(target)), [shown(candidate)])
    except LookupError:
        return False
    return True


def _framework_version(text: Value, fewest: Value = 2) -> str:
    return version_text(target_framework(shown(text)).version, _integer(fewest))


def _platform_version(text: Value, fewest: Value = 2) -> str:
    numbers = platform_of(target_framework(shown(text)))[1].split(".")
    whole = [int(number) for number in numbers if number]
    return version_text(whole + [0] * (4 - len(whole)), _integer(fewest))


def _directory(path: Value) -> str:
    return posixpath.dirname(_slashes(path))


def _slashes(path: Value) -> str:
    return shown(path).replace("\\", "/")


def _with_slash(path: Value) -> str:
    text = _slashes(path)
    return text if not text or text.endswith("/") else text + "/"


def _normal_path(*parts: Value) -> str:
    return posixpath.normpath(posixpath.join(*map(_slashes, parts)))


_MSBUILD: Final[dict[str, Callable[..., Value]]] = {
    "add": _arithmetic(lambda one, other: one + other),
    "subtract": _arithmetic(lambda one, other: one - other),
    "multiply": _arithmetic(lambda one, other: one * other),
    "divide": _arithmetic(lambda one, other: one / other),
    "modulo": _arithmetic(math.fmod),
    "escape": lambda text: shown(text).replace("%", "%25").replace(";", "%3B").replace("*", "%2A").replace("?", "%3F"),
    "unescape": lambda text: unescaped(shown(text)),
    "valueordefault": lambda text, default: shown(text) or shown(default),
    "versionequals": _versions(lambda one, other: one == other),
    "versionnotequals": _versions(lambda one, other: one != other),
    "versiongreaterthan": _versions(lambda one, other: one > other),
    "versiongreaterthanorequals": _versions(lambda one, other: one >= other),
    "versionlessthan": _versions(lambda one, other: one < other),
    "versionlessthanorequals": _versions(lambda one, other: one <= other),
    "gettargetframeworkidentifier": lambda text: target_framework(shown(text)).identifier,
    "gettargetframeworkversion": _framework_version,
    "gettargetplatformidentifier": lambda text: platform_of(target_framework(shown(text)))[0],
    "gettargetplatformversion": _platform_version,
    "istargetframeworkcompatible": _is_compatible,
    "ensuretrailingslash": _with_slash,
    "normalizepath": _normal_path,
    "normalizedirectory": lambda *parts: _with_slash(_normal_path(*parts)),
    "makerelative": lambda base, path: posixpath.relpath(_slashes(path), _slashes(base) or "."),
    "arefeaturesenabled": lambda _: True,
    "isrunningfromvisualstudio": lambda: False,
}
_PATH: Final[dict[str, Callable[..., Value]]] = {
    "combine": lambda *parts: posixpath.join(*map(_slashes, parts)),
    "getfilename": lambda path: posixpath.basename(_slashes(path)),
    "getfilenamewithoutextension": lambda path: posixpath.splitext(posixpath.basename(_slashes(path)))[0],
    "getdirectoryname": _directory,
    "getextension": lambda path: posixpath.splitext(_slashes(path))[1],
    "changeextension": lambda path, extension: (
        posixpath.splitext(_slashes(path))[0] + "." * bool(shown(extension)) + shown(extension).removeprefix(".")
    ),
    "ispathrooted": lambda path: _slashes(path).startswith("/"),
    "hasextension": lambda path: bool(posixpath.splitext(_slashes(path))[1]),
    "directoryseparatorchar": lambda: "/",
}


def _formatted(pattern: Value, *parts: Value) -> str:
    """Only plain places: `{0}`. Raises ValueError for others."""
    text = shown(pattern)
    if len(text) > 10_000:
        raise ValueError
    pieces = _PLACE.split(text)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise ValueError
    return "".join(shown(parts[int(piece)]) if at % 2 else piece for at, piece in enumerate(pieces))


_PLACE: Final = re.compile(r"\{([0-9]{1,2})\}")
_STRING: Final[dict[str, Callable[..., Value]]] = {
    "isnullorempty": lambda text: not shown(text),
    "isnullorwhitespace": lambda text: not shown(text).strip(),
    "concat": lambda *parts: "".join(map(shown, parts)),
    "join": lambda mark, *parts: shown(mark).join(
        part for each in parts for part in (each if isinstance(each, list) else [shown(each)])
    ),
    "equals": _folded(lambda one, other: one == other),
    "format": _formatted,
    "copy": shown,
    "new": shown,
    "empty": lambda: "",
}
_VERSION: Final[dict[str, Callable[..., Value]]] = {"parse": _system_version, "new": _system_version}
_MATH: Final[dict[str, Callable[..., Value]]] = {"max": _arithmetic(max), "min": _arithmetic(min)}
_NUMBER: Final[dict[str, Callable[..., Value]]] = {"parse": _integer, "toint32": _integer}
_STATIC: Final = {
    (type_name, name): function
    for type_name, functions in {
        "msbuild": _MSBUILD,
        "system.io.path": _PATH,
        "system.string": _STRING,
        "string": _STRING,
        "system.version": _VERSION,
        "version": _VERSION,
        "system.int32": _NUMBER,
        "system.convert": _NUMBER,
        "system.math": _MATH,
    }.items()
    for name, function in functions.items()
}
