"""A registration in which every field of some version has a value that NuGet's client cannot read, or reads oddly."""

import json
from collections.abc import Iterator
from typing import Any

from tests.protocol.v3.leaves import index, leaf, page

LEFT_OUT: Any = object()
ANYTHING: tuple[Any, ...] = (
    *(None, True, 7, 1.5, 10**30, "", " ", "abc", "9" * 400, "\x00", "\U0001f600"),
    *([], [None], [7], ["a"], [{}], [[]], {}, {"a": 1}, LEFT_OUT),
)
"""Values of every kind."""

STATED = tuple(value for value in ANYTHING if value is not LEFT_OUT)

FIELDS = (
    *("@id", "authors", "dependencyGroups", "deprecation", "description", "iconUrl", "language", "licenseExpression"),
    *(
        "licenseExpressionVersion",
        "licenseUrl",
        "listed",
        "minClientVersion",
        "owners",
        "packageContent",
        "packageTypes",
    ),
    *("prefixReserved", "projectUrl", "published", "readmeUrl", "registration", "requireLicenseAcceptance", "summary"),
    *("tags", "title", "totalDownloads", "verified", "versions", "vulnerabilities"),
)
"""Fields of a catalogEntry; clients read the same in search hits."""

RANGES = (
    *(
        "[15.106.0.preview]",
        "(,)",
        "(1.0)",
        "[1.0.0",
        "[2.0.0, 1.0.0]",
        "[1.0.0,1.0.0)",
        "[1.0.0,2.0.0,3.0.0]",
        "[]",
        "()",
    ),
    *("[,]", "[1.0.0-]", "[1.0.0.0.0]", "[99999999999.0, )", "1.*", "*", "*-*", "[1.*, 2.0)", "1.0.0-beta*", "( , )"),
)
FRAMEWORKS = (
    *("foo9", "...", "net", "net-4.5", "ünet", "a=b,c", "portable-", "portable-portable-net45", "portable-net45+win8"),
    *(
        ".NETFramework,Version=vX",
        ".NETFramework,Version=",
        ".NETFramework,Version=v4.0,Version=v4.5",
        "net9999999999.0",
    ),
    *(
        ".NETPortable0.0-Profile259",
        ".NETPortable,Version=v0.0,Profile=Profile7",
        "net8.0-windows99.x",
        "native",
        "Any",
    ),
    *(
        ".NETFramework,Version=v4.0,Profile=Client",
        ",",
        "net8.0-",
        "net4.5.6.7.8",
        "portable-net45+a-b",
        "any",
        "dotnet",
    ),
)
DATES = (
    *("yesterday", "2020-13-45T00:00:00Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2020-01-01", "1/2/2020"),
    *("Mon, 15 Jun 2020 10:00:00 GMT", "/Date(1234656000000)/", "2020-01-01", "2020-01-01T00:00:00.1234567890Z"),
    *("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-14:00", "2020-02-30", "2020-01-01T24:00:00Z", "2020-W01-1"),
)
ADDRESSES = (
    *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://h/x", "mailto:a@h", "C:\\x", "/x", "//h"),
    *(
        "http://",
        "http://[",
        "http://[::1",
        "http://h:99999/",
        "http://a b/",
        "http://a..b/",
        "http://a%20b/",
        "http://.",
    ),
    *(
        "http://h/a b",
        "http://ünï.example/",
        "http://h/[x]",
        "http://[::1]/",
        "HTTP://H",
        "http://*.h/",
        "http://a\u00adb/",
    ),
    *(
        "http://" + "a" * 64 + ".example/",
        "http://h/\u200b\x7f",
        "http://u:p@h/",
        "http://h/" + "a" * 3_000,
        "http://h\\x",
    ),
)
DEPRECATIONS: tuple[dict[str, Any], ...] = (
    *({"reasons": value} for value in STATED),
    *({"reasons": ["Legacy"], "message": value} for value in STATED),
    *({"reasons": ["Legacy"], "alternatePackage": value} for value in STATED),
    *({"alternatePackage": {"id": value, "range": "*"}} for value in STATED),
    *({"alternatePackage": {"id": "A", "range": value}} for value in (*STATED, *RANGES)),
)
VULNERABILITIES: tuple[dict[str, Any], ...] = (
    *({"advisoryUrl": value, "severity": "1"} for value in (*STATED, *ADDRESSES)),
    *({"advisoryUrl": "https://h/", "severity": value} for value in (*STATED, "9", "-1", "high", 99)),
    {"severity": "1"},
    {"advisoryUrl": "https://h/"},
)


def odd_entries() -> Iterator[dict[str, Any]]:
    """For one version each, its fields other than id and version."""
    yield from ({field: value} for field in FIELDS for value in STATED)
    yield from ({field.upper(): value} for field in FIELDS for value in STATED[-2:])
    yield from ({name: value} for name in ("Id", "ID", "Version", "VERSION") for value in ("Another.Id", 7, "9.9.9"))
    yield from ({"published": value} for value in DATES)
    yield from ({"listed": value} for value in ("True", "FALSE", 0, "yes", "1", " true "))
    yield from ({field: value} for field in ("iconUrl", "projectUrl", "licenseUrl") for value in ADDRESSES)
    yield from ({"deprecation": value} for value in DEPRECATIONS)
    yield from ({"vulnerabilities": [value]} for value in VULNERABILITIES)
    yield from ({"vulnerabilities": [value, {"advisoryUrl": "https://h/", "severity": "2"}]} for value in STATED)
    for name, values in {"id": ANYTHING, "range": (*ANYTHING, *RANGES), "Range": ANYTHING}.items():
        yield from (_depending(**{name: value}) for value in values)
    for name, values in {"targetFramework": (*ANYTHING, *FRAMEWORKS), "dependencies": ANYTHING}.items():
        yield from ({"dependencyGroups": [{name: value} if value is not LEFT_OUT else {}]} for value in values)


def _depending(**changed: Any) -> dict[str, Any]:
    dependency = {
        "id": "Contoso.Base",
        "range": "[1.0.0, )",
        "registration": "https://up.example/reg/contoso.base",
        **changed,
    }
    stated = {name: value for name, value in dependency.items() if value is not LEFT_OUT}
    return {"dependencyGroups": [{"targetFramework": "net8.0", "dependencies": [stated]}]}


def odd_leaves(package_id: str) -> list[dict[str, Any]]:
    """One leaf for each of `odd_entries`, the versions 1.0.0, 1.0.1 and so on; the next one is valid."""
    entries = [*odd_entries(), {}]
    return [
        leaf(f"1.0.{number}", package_id) | _with(number, package_id, entry) for number, entry in enumerate(entries)
    ]


def _with(number: int, package_id: str, entry: dict[str, Any]) -> dict[str, Any]:
    own = leaf(f"1.0.{number}", package_id)["catalogEntry"]
    return {"catalogEntry": {**own, **entry}}


def odd_index(package_id: str) -> bytes:
    """A registration index with `odd_leaves` on one page, and leaves, pages and fields that must be ignored."""
    leaves: list[Any] = [
        *odd_leaves(package_id),
        None,
        7,
        {},
        {"catalogEntry": None},
        leaf("9.9.9", "Another.Id"),
        leaf("1.0.x", package_id),
    ]
    smuggled = leaf("8.8.8", "Another.Id")
    whole = page(leaves[:-6], lid=package_id.lower(), lower="x", upper=[], count={}, Items=[smuggled], LOWER=7)
    whole["items"] = leaves
    pages: list[Any] = [whole, None, {}, {"items": []}]
    return index(*pages, lid=package_id.lower(), Items=[page([smuggled])], count="x")


def odd_hits(package_id: str) -> bytes:
    """A search answer in which each hit has one odd value."""
    hits = [
        {
            "id": f"{package_id}.{number}",
            "version": "1.0.0",
            "versions": [{"version": "1.0.0", "downloads": 1}],
            **entry,
        }
        for number, entry in enumerate(odd_entries())
        if not {"Id", "ID", "Version", "VERSION"} & entry.keys()
    ]
    rows = [{"version": "1.0.0", "downloads": value, "@id": value} for value in STATED]
    hits += [
        {"id": f"{package_id}.row{number}", "version": "1.0.0", "versions": [row]} for number, row in enumerate(rows)
    ]
    broken: list[Any] = [None, 7, "a", [], {}, {"id": "a b", "version": "1.0.0"}, {"id": package_id, "version": "x"}]
    return json.dumps({"totalHits": 10**30, "data": [*broken, *hits]}).encode()
