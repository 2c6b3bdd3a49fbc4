"""Leaves and rows for the tests of V2."""

from typing import Any

from nugetproxy.nuget.version import NuGetVersion
from nugetproxy.protocol.links import Links
from nugetproxy.protocol.steps import at_once
from nugetproxy.protocol.v2.rows import Row, rows_of_leaves
from nugetproxy.protocol.v3.registration import Leaf
from nugetproxy.protocol.v3.search import SearchHit

LINKS = Links("https://ours.example/nuget")


def leaf(package_id: str = "My.Pkg", version: str = "1.0.0", *, listed: bool = True, **entry: Any) -> Leaf:
    parsed = NuGetVersion.parse(version)
    raw = {
        "commitTimeStamp": "2026-02-03T04:05:06.789Z",
        "catalogEntry": {"id": package_id, "version": version, "published": "2026-01-02T03:04:05+00:00", **entry},
    }
    return Leaf(parsed, package_id, listed, parsed.is_semver2, raw)


def row(package_id: str = "My.Pkg", version: str = "1.0.0", **facts: Any) -> Row:
    return rows(leaf(package_id, version, **facts))[0]


def rows(*leaves: Leaf, level2: bool = True) -> list[Row]:
    return at_once(rows_of_leaves(leaves, LINKS, level2=level2))


def hit(package_id: str, *versions: str, **fields: Any) -> SearchHit:
    shown = [{"version": version, "downloads": 10} for version in versions]
    return SearchHit(package_id, {"id": package_id, "version": versions[-1], "versions": shown, **fields})
