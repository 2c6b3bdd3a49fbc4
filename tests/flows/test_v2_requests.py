"""The literal requests of V2 clients, through the whole application: hosted and mirrored packages as one feed.

The upstream has look-alikes of our ids. Offline the same is found: every public version was downloaded before.
"""

import asyncio
from typing import Any
from urllib.parse import unquote_plus

import orjson
import pytest
from lxml import etree

from tests.builders import make_nupkg
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import running
from tests.flows.private_feed import House, opened, opened_with_lane
from tests.web.feeds_read import ReadFeed

BASE = "/api/v2"
PROTECTED = {"protected_prefixes": ["Contoso."]}
HOSTED = ("0.9.0", "1.0.0", "1.1.0", "1.2.0-beta", "2.0.0-rc.1")
PUBLIC = {"Public.Tools": ("0.9.0", "1.0.0", "1.1.0", "1.2.0-beta", "2.0.0-rc.1"), "git": ("2.9.0", "2.40.0")}
LURES = (("Contoso.Tools", "99.0.0"), ("Contoso.Secret", "99.0.0"))
UNLISTED = "0.9.0"


def of(package_id: str, *versions: str) -> list[str]:
    return [f"{package_id} {version}" for version in versions]


OUR_OLD, OUR_ALL = of("Contoso.Tools", *HOSTED[:4]), of("Contoso.Tools", *HOSTED)
OUR_LISTED, OUR_LATEST, OUR_NEWEST = OUR_ALL[1:], "Contoso.Tools 1.1.0", "Contoso.Tools 2.0.0-rc.1"
THEIR_OLD, THEIR_ALL = of("Public.Tools", *HOSTED[:4]), of("Public.Tools", *HOSTED)
THEIR_LISTED, THEIR_LATEST, THEIR_NEWEST = THEIR_ALL[1:], "Public.Tools 1.1.0", "Public.Tools 2.0.0-rc.1"
GIT, GIT_LATEST = of("git", "2.9.0", "2.40.0"), "git 2.40.0"
STABLE = {"ours": of("Contoso.Tools", "1.0.0", "1.1.0"), "theirs": of("Public.Tools", "1.0.0", "1.1.0")}
NO_PRERELEASE = "&targetFramework=''&includePrerelease=false"
LEVEL2 = "&semVerLevel=2.0.0"

BY_DOWNLOADS = (
    "/Search()?$filter=IsLatestVersion%20and%20substringof('psmodule',Tags)&$orderby=DownloadCount%20desc,Id"
    f"&searchTerm='tools'{NO_PRERELEASE}&$skip=0&$top=1"
)

# The request, what is found, and the count before paging if that is more.
Shape = tuple[str, list[str], int]


def shape(path: str, found: list[str], count: int | None = None) -> Shape:
    return path, found, len(found) if count is None else count


def by_id(package_id: str, old: list[str], everything: list[str]) -> list[Shape]:
    """Requests about one id, hosted or mirrored."""
    quoted, lower = package_id.replace(".", "%2E"), package_id.lower()
    latest, newest = f"{package_id} 1.1.0", f"{package_id} 2.0.0-rc.1"
    one = [f"{package_id} 1.0.0"]
    find = f"/FindPackagesById()?id='{package_id}'"
    return [
        # the official client
        shape(f"{find}{LEVEL2}", everything),
        shape(f"/Packages(Id='{package_id}',Version='1.0.0')", one),
        # nuget.exe 2.8.7
        shape(
            f"/FindPackagesById()?$filter=IsLatestVersion&$orderby=Version%20desc&$top=1&id='{package_id}'", [latest]
        ),
        shape(
            f"/FindPackagesById()?$filter=IsAbsoluteLatestVersion&$orderby=Version%20desc&$top=1&id='{package_id}'",
            [f"{package_id} 1.2.0-beta"],
        ),
        shape(f"/Packages(Id=%27{quoted}%27,Version=%271.0.0%27)", one),
        shape(f"/Packages(Id=%27{quoted}%27,Version=%271.0%27)", one),
        shape(find, old),
        shape(f"/Packages(Id='{package_id}',Version='1.0.0')?$select=Id", one),
        shape(
            f"/FindPackagesById()?$filter=IsLatestVersion&$select=Id,Version&$top=1&id='{package_id}'", [latest]
        ),
        shape(
            f"/GetUpdates()?packageIds='{package_id}'&versions='1.0.0'&includePrerelease=false"
            "&includeAllVersions=false&targetFrameworks=''&versionConstraints=''",
            [latest],
        ),
        # PowerShellGet
        shape(f"{find}&$skip=1&$top=40", old[1:], len(old)),
        # PSResourceGet
        shape(
            f"/FindPackagesById()?$inlinecount=allpages&id='{package_id}'&$filter=Id%20eq%20'{package_id}'%20and%20"
            "IsLatestVersion%20eq%20true",
            [latest],
        ),
        shape(
            f"/FindPackagesById()?$inlinecount=allpages&id='{package_id}'&$filter=Id%20eq%20'{package_id}'%20and%20"
            f"IsAbsoluteLatestVersion%20eq%20true{LEVEL2}",
            [newest],
        ),
        shape(
            f"/FindPackagesById()?$inlinecount=allpages&id='{package_id}'&$filter=NormalizedVersion%20eq%20'1.1.0'"
            "%20and%20substringof('PSModule',%20Tags)%20eq%20true",
            [latest],
        ),
        # Chocolatey
        shape(f"/Packages()?$filter=(tolower(Id)%20eq%20'{lower}')%20and%20IsLatestVersion{LEVEL2}", [latest]),
        shape(f"/Packages()?$filter=(tolower(Id)%20eq%20'{lower}')%20and%20IsLatestVersion", [latest]),
        # Paket
        shape(f"/FindPackagesById()?semVerLevel=2.0.0&id='{package_id}'", everything),
        shape(f"/Packages?semVerLevel=2.0.0&$filter=Id%20eq%20'{package_id}'", everything),
        shape(f"/Packages?semVerLevel=2.0.0&$filter=tolower(Id)%20eq%20'{lower}'", everything),
        shape(f"/Packages?$filter=(tolower(Id)%20eq%20'{lower}')%20and%20(NormalizedVersion%20eq%20'1.0.0')", one),
        shape(f"/Packages?$filter=(Id%20eq%20'{package_id}')%20and%20(Version%20eq%20'1.0')", one),
        # Renovate
        shape(
            f"/FindPackagesById()?id=%27{package_id}%27&$select=Version,IsLatestVersion,ProjectUrl,Published", old
        ),
    ]  # fmt: skip


SHAPES = [
    *by_id("Contoso.Tools", OUR_OLD, OUR_ALL),
    *by_id("Public.Tools", THEIR_OLD, THEIR_ALL),
    # the official client
    shape(
        f"/Search()?$filter=IsLatestVersion&$orderby=Id&searchTerm='Contoso'{NO_PRERELEASE}&$skip=0&$top=30{LEVEL2}",
        [OUR_LATEST],
    ),
    shape(
        f"/Search()?$filter=IsLatestVersion&searchTerm='tools'{NO_PRERELEASE}&$skip=0&$top=20{LEVEL2}",
        [OUR_LATEST, THEIR_LATEST],
    ),
    shape(
        f"/Search()?$filter=IsLatestVersion&searchTerm='tools'{NO_PRERELEASE}&$skip=1&$top=1{LEVEL2}",
        [THEIR_LATEST],
        2,
    ),
    shape(
        "/Search()?$filter=IsAbsoluteLatestVersion&searchTerm='tools'&targetFramework='net46'&includePrerelease=true"
        f"&$skip=0&$top=26{LEVEL2}",
        [OUR_NEWEST, THEIR_NEWEST],
    ),
    shape(
        f"/Search()?$orderby=Id&searchTerm=''&targetFramework=''&includePrerelease=true&$skip=0&$top=30{LEVEL2}",
        [*OUR_LISTED, *GIT, *THEIR_LISTED],
    ),
    shape(
        "/Packages()?$filter=(((Id%20ne%20null)%20and%20substringof('tools',tolower(Id)))%20or%20((Description%20ne%20"
        "null)%20and%20substringof('tools',tolower(Description)))%20or%20((Tags%20ne%20null)%20and%20substringof("
        f"'%20tools%20',tolower(Tags))))%20and%20IsLatestVersion&$orderby=Id&$skip=0&$top=30{LEVEL2}",
        [OUR_LATEST, THEIR_LATEST],
    ),
    # nuget.exe 2.8.7
    shape(
        f"/Search()?$filter=IsLatestVersion&$orderby=Id&$skip=0&$top=30&searchTerm='Tools'{NO_PRERELEASE}",
        [OUR_LATEST, THEIR_LATEST],
    ),
    shape(
        "/Search()?$orderby=Id&$skip=0&$top=30&searchTerm='Tools'&targetFramework=''&includePrerelease=true",
        [*OUR_OLD[1:], *THEIR_OLD[1:]],
    ),
    shape(
        "/GetUpdates()?packageIds='Contoso.Tools%7CPublic.Tools%7Cgit'&versions='1.0.0%7C1.0.0%7C2.9.0'"
        "&includePrerelease=true&includeAllVersions=true&targetFrameworks=''&versionConstraints='%7C%7C'",
        [*OUR_OLD[2:], *THEIR_OLD[2:], GIT_LATEST],
    ),
    # PowerShellGet
    shape("/FindPackagesById()?id='d8f4a5e6-no-such'", []),
    shape(
        f"/Search()?$filter=IsLatestVersion&$skip=0&$top=40&searchTerm='tools'{NO_PRERELEASE}",
        [OUR_LATEST, THEIR_LATEST],
    ),
    shape(
        f"/Search()?$orderby=DownloadCount%20desc,Id&$skip=0&$top=40&searchTerm='Contoso.Tools'{NO_PRERELEASE}",
        STABLE["ours"],
    ),
    # PSResourceGet
    shape(
        "/Search()?$inlinecount=allpages&$skip=0&$top=6000&$filter=IsLatestVersion&$orderby=Id%20desc",
        [THEIR_LATEST, GIT_LATEST, OUR_LATEST],
    ),
    shape(
        "/Search()?$inlinecount=allpages&$skip=0&$top=100&$filter=IsLatestVersion%20and%20startswith(Id,%20'pub')"
        "%20and%20endswith(Id,%20'tools')&includePrerelease=false",
        [THEIR_LATEST],
    ),
    shape(
        "/Search()?$inlinecount=allpages&$skip=0&$top=100&$filter=IsLatestVersion%20and%20startswith(Id,%20'contoso')"
        "%20and%20endswith(Id,%20'tools')&includePrerelease=false",
        [OUR_LATEST],
    ),
    shape(
        "/Search()?$inlinecount=allpages&$skip=0&$top=100&$filter=IsLatestVersion%20and%20substringof('tools',%20Id)",
        [OUR_LATEST, THEIR_LATEST],
    ),
    # Chocolatey
    shape(
        "/Search()?$filter=IsLatestVersion%20and%20startswith(tolower(Id),'git')&$orderby=Id&searchTerm='git'"
        f"{NO_PRERELEASE}&$skip=0&$top=30{LEVEL2}",
        [GIT_LATEST],
    ),
    shape(BY_DOWNLOADS, [THEIR_LATEST], 2),
    shape(
        f"/Search()?$orderby=Id,Version%20desc&searchTerm='tools'{NO_PRERELEASE}&$skip=0&$top=30{LEVEL2}",
        [*STABLE["ours"][::-1], *STABLE["theirs"][::-1]],
    ),
    shape(
        "/Search()?$orderby=DownloadCount%20desc,Id,Version%20desc&searchTerm='public.tools'"
        f"{NO_PRERELEASE}&$skip=0&$top=30{LEVEL2}",
        STABLE["theirs"][::-1],
    ),
    # look-alikes that only the upstream has
    shape("/FindPackagesById()?id='Contoso.Secret'", []),
    shape(f"/Search()?searchTerm='Contoso.Secret'{NO_PRERELEASE}", []),
    shape("/Packages()?$filter=substringof('contoso.secret',tolower(Id))", []),
]  # fmt: skip

COMPLETED = {
    f"/package-ids?partialId=Cont&includePrerelease=True{LEVEL2}": ["Contoso.Tools"],
    f"/package-ids?partialId=Contoso.&includePrerelease=True{LEVEL2}": ["Contoso.Tools"],
    f"/package-ids?partialId=pub&includePrerelease=False{LEVEL2}": ["Public.Tools"],
    "/package-ids?partialId=tools&includePrerelease=True": [],
    f"/package-versions/Contoso.Tools?includePrerelease=True{LEVEL2}": list(HOSTED[1:]),
    f"/package-versions/Public.Tools?includePrerelease=True{LEVEL2}": list(HOSTED[1:]),
    "/package-versions/public.tools?includePrerelease=False": ["1.0.0", "1.1.0"],
    "/package-versions/Contoso.Secret?includePrerelease=True": [],
}


@pytest.fixture
async def house(upstream: FakeUpstream, tmp_path: Any) -> Any:
    for package_id, versions in PUBLIC.items():
        for version in versions:
            upstream.add_package(package(package_id, version), listed=version != UNLISTED)
    for package_id, version in LURES:
        upstream.add_package(package(package_id, version))
    async with opened(tmp_path, upstream, feed=PROTECTED) as opened_house:
        for version in HOSTED:
            assert (await opened_house.push(package("Contoso.Tools", version))).status == 201
        assert (await opened_house.send("DELETE", f"/api/v2/package/Contoso.Tools/{UNLISTED}")).status < 300
        yield opened_house


def package(package_id: str, version: str) -> bytes:
    return make_nupkg(package_id, version, more="<tags>PSModule of ours</tags>")


async def found(house: House, path: str) -> tuple[list[str], int]:
    """The entries, and the count stated on the page; 1 for an entry. `$count` is the same."""
    got = await house.get(BASE + path, {"Accept": "application/atom+xml,application/xml"})
    assert got.status == 200, (path, got.status, got.reason)
    if got.headers["content-type"].startswith("application/atom+xml;type=entry"):
        return ReadFeed(got.status, etree.fromstring(got.body)).entries, 1
    name, _, query = path.partition("?")
    options = "&".join(option for option in query.split("&") if not option.startswith("$inlinecount"))
    page = await house.get(f"{BASE}{name}?{options}&$inlinecount=allpages")
    counted = await house.get(f"{BASE}{name}/$count?{options}")
    read = ReadFeed(page.status, etree.fromstring(page.body))
    assert read.count == int(counted.body), path
    return read.entries, read.count or 0


async def find_everything(house: House, **unlike: tuple[list[str], int]) -> None:
    expected = {path: (entries, count) for path, entries, count in SHAPES} | unlike
    assert {path: await found(house, path) for path in expected} == expected
    completed = {path: orjson.loads((await house.get(BASE + path)).body) for path in COMPLETED}
    assert completed == COMPLETED


def asked_of(upstream: FakeUpstream) -> str:
    return " ".join(unquote_plus(f"{request.path}?{request.query}") for request in upstream.log).lower()


async def test_every_client_finds_what_is_hosted_and_what_is_mirrored(house, upstream):
    await find_everything(house)

    # It got many requests, and none about our ids.
    assert "public.tools" in asked_of(upstream)
    assert "contoso" not in asked_of(upstream)


async def test_every_client_finds_the_same_offline(house, upstream):
    await house.get(f"{BASE}/FindPackagesById()?id='Public.Tools'&semVerLevel=2.0.0")  # what is unlisted, and the tags
    for package_id, versions in PUBLIC.items():
        for version in versions:
            assert (await house.get(f"{BASE}/package/{package_id}/{version}")).status == 200
    await kept(house, sum(map(len, PUBLIC.values())))
    asked = len(upstream.log)
    async with running(house.data, upstream, offline=True, feed=PROTECTED) as mirror:
        # Downloads from other servers are not known here, so the name decides.
        unlike = {BY_DOWNLOADS: ([OUR_LATEST], 2)}
        await find_everything(House(mirror.services, house.data, mirror.port), **unlike)

    assert len(upstream.log) == asked


async def kept(house: House, count: int) -> None:
    async with asyncio.timeout(5):
        while len(list(house.data.glob("mirror/*/*/*/*.nupkg"))) < count:
            await asyncio.sleep(0.005)


async def test_updates_of_hundreds_of_packages_are_told(upstream, tmp_path):
    """
    A request line of 20 KB, as a machine with many packages sends it.
    """
    installed = [f"Contoso.Installed.Package.Number.{number}" for number in range(550)]
    ids, versions = "%7C".join([*installed, "Contoso.Tools"]), "%7C".join(["1.0"] * (len(installed) + 1))
    path = f"{BASE}/GetUpdates()?packageIds='{ids}'&versions='{versions}'&includePrerelease=false"
    assert len(path) > 20_000
    async with opened_with_lane(tmp_path, upstream, feed=PROTECTED) as house:
        assert (await house.push(package("Contoso.Tools", "1.1.0"))).status == 201
        for _ in range(2):  # the second time from the lane
            got = await house.get(path)
            assert ReadFeed(got.status, etree.fromstring(got.body)).entries == [OUR_LATEST]
