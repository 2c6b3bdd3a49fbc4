"""Every rendering of an id agrees about its versions, wherever they come from and however many there are.

A rendering leaves out versions only by a rule (SemVer 2, unlisted), never because of their source, paging or a hive
with different page boundaries.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.flows.private_feed import House, opened

OLD_HIVES = ("registration", "registration-gz")


class Version(NamedTuple):
    text: str
    is_listed: bool = True
    is_semver2: bool = False

    @property
    def is_prerelease(self) -> bool:
        return "-" in self.text


# Old hives show 127 of the upstream's versions, which are inlined; the new one 129, which are not.
UPSTREAM = (
    *(Version(f"1.0.{number}") for number in range(124)), Version("2.0.0-beta"), Version("2.0.0-rc.1", is_semver2=True),
    Version("2.0.0", is_listed=False), Version("2.1.0-rc.1", is_semver2=True), Version("3.1.0"),
)  # fmt: skip
PUSHED = (Version("1.0.5"), Version("3.0.0-a.1", is_semver2=True), Version("3.0.1", is_listed=False))
DELETED = "3.1.0"
MERGED = (*(each for each in UPSTREAM if each.text != DELETED), *PUSHED[1:])


@asynccontextmanager
async def mixed(data: Path, upstream: FakeUpstream, kind: str) -> AsyncIterator[House]:
    """`Mix`, as `kind` says: mirrored, hosted over what is mirrored, or merged of both."""
    for version in UPSTREAM:
        upstream.add_package("Mix", version.text, listed=version.is_listed)
    feed: dict[str, Any] = {"merged_ids": ["Mix"] if kind == "merged" else []}
    async with opened(data, upstream, hosting={"allowed_ids": ["Mix"]}, feed=feed) as house:
        for text in (*(version.text for version in PUSHED), DELETED) if kind != "mirrored" else ():
            assert (await house.push("Mix", text)).status == 201
            is_listed = text not in {version.text for version in PUSHED if not version.is_listed} | {DELETED}
            query = "?Type=HardDelete" if text == DELETED else ""
            assert is_listed or (await house.send("DELETE", f"/api/v2/package/Mix/{text}{query}")).status == 204
        yield house


async def registered(house: House, hive: str) -> list[tuple[str, bool]]:
    """Version and whether it is listed, as a client reads them; bounds and counts must be those of the leaves."""
    index = await house.json(f"/v3/{hive}/mix/index.json")
    assert index["count"] == len(index["items"])
    found = []
    for head in index["items"]:
        page = head if "items" in head else await house.json(head["@id"].partition(f":{house.port}")[2])
        entries = [leaf["catalogEntry"] for leaf in page["items"]]
        for told in (head, page):
            assert (told["count"], told["lower"], told["upper"]) == (
                len(entries), entries[0]["version"], entries[-1]["version"]
            )  # fmt: skip
        found += [(entry["version"], entry["listed"]) for entry in entries]
    assert ("items" in index["items"][0]) == (len(found) <= 127)
    return found


async def fed(house: House, level: str) -> list[tuple[str, bool]]:
    """Like `registered`, for all pages of FindPackagesById."""
    following, found = f"/api/v2/FindPackagesById()?id='Mix'{level}", []
    while following:
        text = (await house.get(following)).body.decode()
        versions = re.findall(r"<d:NormalizedVersion>(.*?)<", text)
        published = re.findall(r'<d:Published m:type="Edm.DateTime">(\d{4})', text)
        found += [(version, year != "1900") for version, year in zip(versions, published, strict=True)]
        link = re.search(r'rel="next" href="(.*?)"', text)
        following = unescape(link[1]).partition(f":{house.port}")[2] if link else ""
    return found


@pytest.mark.parametrize(("kind", "versions"), [("mirrored", UPSTREAM), ("hosted", PUSHED), ("merged", MERGED)])
async def test_all_tell_the_same(upstream, tmp_path, kind, versions):
    def told(*, level2: bool) -> list[tuple[str, bool]]:
        return [(each.text, each.is_listed) for each in versions if level2 or not each.is_semver2]

    def listed(*, everything: bool) -> list[str]:
        shown = [each for each in versions if everything or not (each.is_semver2 or each.is_prerelease)]
        return [each.text for each in shown if each.is_listed]

    async with mixed(tmp_path, upstream, kind) as house:
        listing = (await house.json("/v3/flatcontainer/mix/index.json"))["versions"]
        assert listing == [version.text for version in versions]
        for version in (listing[0], listing[-1]):
            assert (await house.get(f"/v3/flatcontainer/mix/{version}/mix.{version}.nupkg")).status == 200
        assert await registered(house, "registration-gz-semver2") == told(level2=True)
        for hive in OLD_HIVES:
            assert await registered(house, hive) == told(level2=False)
        assert await fed(house, "&semVerLevel=2.0.0") == told(level2=True)
        assert await fed(house, "") == told(level2=False)

        for everything, query, v2_query in (
            (True, "prerelease=true&semVerLevel=2.0.0", "includePrerelease=True&semVerLevel=2.0.0"),
            (False, "prerelease=false", "includePrerelease=False"),
        ):
            [hit] = (await house.json(f"/v3/query?q=mix&{query}"))["data"]
            assert [row["version"] for row in hit["versions"]] == listed(everything=everything)
            assert hit["version"] == listed(everything=everything)[-1]
            assert (await house.json(f"/v3/autocomplete?id=mix&{query}"))["data"] == listed(everything=everything)
            assert await house.json(f"/api/v2/package-versions/mix?{v2_query}") == listed(everything=everything)


@pytest.mark.parametrize("kind", ["hosted", "merged"])
async def test_none_tells_of_what_we_deleted(upstream, tmp_path, kind):
    """
    The upstream has it, too.
    """
    async with mixed(tmp_path, upstream, kind) as house:
        for path in (
            f"/v3/flatcontainer/mix/{DELETED}/mix.{DELETED}.nupkg", f"/v3/flatcontainer/mix/{DELETED}/mix.nuspec",
            f"/v3/registration/mix/{DELETED}.json", f"/v3/registration-gz-semver2/mix/{DELETED}.json",
            f"/v3/catalog/mix/{DELETED}.json", f"/api/v2/package/mix/{DELETED}",
            f"/api/v2/Packages(Id='Mix',Version='{DELETED}')",
        ):  # fmt: skip
            assert (await house.get(path)).status == 404, path
