"""The literal requests of V2 clients, each with the expected result."""

import orjson
import pytest

from tests.web.catalogue import CatalogueFeed
from tests.web.feeds_read import read, text
from tests.web.serving import serving


@pytest.fixture
def feed():
    made = CatalogueFeed()
    made.add("Alpha.Lib", "1.0.0", tags=["PSModule"], description="First")
    made.add("Alpha.Lib", "1.1.0", tags=["PSModule"], description="The x of letters")
    made.add("Alpha.Lib", "1.2.0-beta", tags=["PSModule"])
    made.add("Alpha.Lib", "2.0.0-rc.1", tags=["PSModule"])
    made.add("Beta.Lib", "1.0.0")
    made.add("Beta.Lib", "0.9.0", listed=False)
    made.add("git", "2.40.0")
    made.add("git", "2.9.0")
    made.popularity = {"git": 900, "beta.lib": 500, "alpha.lib": 100}
    return made


BASE = "/api/v2"
ALPHA_LATEST, BETA_LATEST, GIT_LATEST = "Alpha.Lib 1.1.0", "Beta.Lib 1.0.0", "git 2.40.0"
LATEST = [ALPHA_LATEST, BETA_LATEST, GIT_LATEST]
OLD_ALPHA = ["Alpha.Lib 1.0.0", "Alpha.Lib 1.1.0", "Alpha.Lib 1.2.0-beta"]
ALL_ALPHA = [*OLD_ALPHA, "Alpha.Lib 2.0.0-rc.1"]
VISUAL_STUDIO = (
    "/Packages()?$filter=(((Id%20ne%20null)%20and%20substringof('x',tolower(Id)))%20or%20((Description%20ne%20null)%20and"
    "%20substringof('x',tolower(Description)))%20or%20((Tags%20ne%20null)%20and%20substringof('%20x%20',tolower(Tags))))"
    "%20and%20IsLatestVersion&$orderby=Id&$skip=0&$top=30&semVerLevel=2.0.0"
)

REQUESTS = [
    # the official client, 3.x to 7.x
    ("/FindPackagesById()?id='Alpha.Lib'&semVerLevel=2.0.0", ALL_ALPHA),
    ("/Packages(Id='Alpha.Lib',Version='1.0.0')", ["Alpha.Lib 1.0.0"]),
    (
        (
            "/Search()?$filter=IsLatestVersion&$orderby=Id&searchTerm='Alpha'&targetFramework=''&includePrerelease=false"
            "&$skip=0&$top=30&semVerLevel=2.0.0"
        ),
        [ALPHA_LATEST],
    ),
    (
        (
            "/Search()?$filter=IsLatestVersion&searchTerm='lib'&targetFramework=''&includePrerelease=false&$skip=0&$top=20"
            "&semVerLevel=2.0.0"
        ),
        [ALPHA_LATEST, BETA_LATEST],
    ),
    (
        (
            "/Search()?$filter=IsAbsoluteLatestVersion&searchTerm='lib'&targetFramework='net46'&includePrerelease=true"
            "&$skip=0&$top=26&semVerLevel=2.0.0"
        ),
        ["Alpha.Lib 2.0.0-rc.1", BETA_LATEST],
    ),
    (
        "/Search()?$orderby=Id&searchTerm=''&targetFramework=''&includePrerelease=true&$skip=0&$top=30&semVerLevel=2.0.0",
        [*ALL_ALPHA, BETA_LATEST, "git 2.9.0", GIT_LATEST],
    ),
    (VISUAL_STUDIO, [ALPHA_LATEST]),
    # nuget.exe 2.8.7
    (
        (
            "/Search()?$filter=IsLatestVersion&$orderby=Id&$skip=0&$top=30&searchTerm='Alpha'&targetFramework=''"
            "&includePrerelease=false"
        ),
        [ALPHA_LATEST],
    ),
    ("/Search()?$orderby=Id&$skip=0&$top=30&searchTerm='Alpha'&targetFramework=''&includePrerelease=true", OLD_ALPHA),
    ("/FindPackagesById()?$filter=IsLatestVersion&$orderby=Version%20desc&$top=1&id='Alpha.Lib'", [ALPHA_LATEST]),
    (
        "/FindPackagesById()?$filter=IsAbsoluteLatestVersion&$orderby=Version%20desc&$top=1&id='Alpha.Lib'",
        ["Alpha.Lib 1.2.0-beta"],
    ),
    ("/Packages(Id=%27Alpha.Lib%27,Version=%271.0.0%27)", ["Alpha.Lib 1.0.0"]),
    ("/FindPackagesById()?id='Beta.Lib'", ["Beta.Lib 0.9.0", BETA_LATEST]),
    ("/Packages(Id=%27Alpha.Lib%27,Version=%271.1%27)", [ALPHA_LATEST]),
    ("/Packages(Id='Alpha.Lib',Version='1.1.0')?$select=Id", [ALPHA_LATEST]),
    ("/FindPackagesById()?$filter=IsLatestVersion&$select=Id,Version&$top=1&id='git'", [GIT_LATEST]),
    (
        (
            "/GetUpdates()?packageIds='Alpha.Lib%7Cgit'&versions='1.0.0%7C2.9.0'&includePrerelease=false"
            "&includeAllVersions=false&targetFrameworks=''&versionConstraints=''"
        ),
        [ALPHA_LATEST, GIT_LATEST],
    ),
    # PowerShellGet 1 and 2
    ("/FindPackagesById()?id='d8f4a5e6-no-such'", []),
    ("/FindPackagesById()?id='git'", ["git 2.9.0", GIT_LATEST]),
    ("/FindPackagesById()?id='git'&$skip=1&$top=40", [GIT_LATEST]),
    (
        "/Search()?$filter=IsLatestVersion&$skip=0&$top=40&searchTerm='lib'&targetFramework=''&includePrerelease=false",
        [ALPHA_LATEST, BETA_LATEST],
    ),
    (
        (
            "/Search()?$orderby=DownloadCount%20desc,Id&$skip=0&$top=40&searchTerm=''&targetFramework=''"
            "&includePrerelease=false"
        ),
        ["git 2.9.0", GIT_LATEST, BETA_LATEST, "Alpha.Lib 1.0.0", ALPHA_LATEST],
    ),
    # PSResourceGet
    (
        (
            "/FindPackagesById()?$inlinecount=allpages&id='Alpha.Lib'&$filter=Id%20eq%20'Alpha.Lib'%20and%20"
            "IsLatestVersion%20eq%20true"
        ),
        [ALPHA_LATEST],
    ),
    (
        (
            "/FindPackagesById()?$inlinecount=allpages&id='Alpha.Lib'&$filter=NormalizedVersion+eq+'1.1.0'+and+"
            "substringof('PSModule',+Tags)+eq+true"
        ),
        [ALPHA_LATEST],
    ),
    ("/Search()?$inlinecount=allpages&$skip=0&$top=6000&$filter=IsLatestVersion&$orderby=Id%20desc", LATEST[::-1]),
    (
        (
            "/Search()?$inlinecount=allpages&$skip=0&$top=100&$filter=IsLatestVersion%20and%20startswith(Id,%20'al')%20and"
            "%20endswith(Id,%20'lib')&includePrerelease=false"
        ),
        [ALPHA_LATEST],
    ),
    (
        "/Search()?$inlinecount=allpages&$skip=0&$top=100&$filter=IsLatestVersion%20and%20substringof('.l',%20Id)",
        [ALPHA_LATEST, BETA_LATEST],
    ),
    # Chocolatey
    ("/Packages()?$filter=(tolower(Id)%20eq%20'git')%20and%20IsLatestVersion&semVerLevel=2.0.0", [GIT_LATEST]),
    ("/Packages()?$filter=(tolower(Id)%20eq%20'git')%20and%20IsLatestVersion", [GIT_LATEST]),
    (
        (
            "/Search()?$filter=IsLatestVersion%20and%20startswith(tolower(Id),'g')&$orderby=Id&searchTerm='g'"
            "&targetFramework=''&includePrerelease=false&$skip=0&$top=30&semVerLevel=2.0.0"
        ),
        [GIT_LATEST],
    ),
    (
        (
            "/Search()?$filter=IsLatestVersion%20and%20substringof('psmodule',Tags)&$orderby=DownloadCount%20desc,Id"
            "&searchTerm=''&targetFramework=''&includePrerelease=false&$skip=0&$top=30"
        ),
        [ALPHA_LATEST],
    ),
    (
        (
            "/Search()?$orderby=DownloadCount%20desc,Id,Version%20desc&searchTerm='lib'&targetFramework=''"
            "&includePrerelease=false&$skip=0&$top=30&semVerLevel=2.0.0"
        ),
        [BETA_LATEST, ALPHA_LATEST, "Alpha.Lib 1.0.0"],
    ),
    # Paket
    ("/FindPackagesById()?semVerLevel=2.0.0&id='Alpha.Lib'", ALL_ALPHA),
    ("/Packages?semVerLevel=2.0.0&$filter=Id%20eq%20'Alpha.Lib'", ALL_ALPHA),
    ("/Packages?semVerLevel=2.0.0&$filter=tolower(Id)%20eq%20'alpha.lib'", ALL_ALPHA),
    ("/Packages(Id='Alpha.Lib',Version='1.0')", ["Alpha.Lib 1.0.0"]),
    (
        "/Packages?$filter=(tolower(Id)%20eq%20'alpha.lib')%20and%20(NormalizedVersion%20eq%20'1.0.0')",
        ["Alpha.Lib 1.0.0"],
    ),
    ("/Packages?$filter=(Id%20eq%20'Alpha.Lib')%20and%20(Version%20eq%20'1.0')", ["Alpha.Lib 1.0.0"]),
    # Renovate
    (
        "/FindPackagesById()?id=%27git%27&$select=Version,IsLatestVersion,ProjectUrl,Published",
        ["git 2.9.0", GIT_LATEST],
    ),
    # spellings
    ("/FindPackagesById?id=%27git%27", ["git 2.9.0", GIT_LATEST]),
    ("/FindPackagesById%28%29?id=%27git%27&%24top=1", ["git 2.9.0"]),
    ("/findpackagesbyid()?ID='git'", ["git 2.9.0", GIT_LATEST]),
    ("/Packages%28Id=%27git%27,Version=%272.9%27%29", ["git 2.9.0"]),
    ("/Packages(Version='2.9',Id='git')", ["git 2.9.0"]),
    ("/Search?searchTerm='git'&%24filter=IsLatestVersion+eq+true", [GIT_LATEST]),
    ("/FindPackagesById()?id=''", []),
    ("/FindPackagesById()?id='not%20an%20id'", []),
    ("/FindPackagesById()", []),
    ("/Search()?searchTerm='nobody%20has%20this'", []),
    ("/Packages()?$filter=Id%20eq%20'a'%20and%20Id%20eq%20'b'", []),
]


@pytest.mark.parametrize(("path", "expected"), REQUESTS, ids=[path[:60] for path, _ in REQUESTS])
async def test_a_client_finds(feed, path, expected):
    async with serving(feed) as client:
        found = await read(client, BASE + path, Accept="application/atom+xml,application/xml")

    assert expected == found.entries


@pytest.mark.parametrize(("path", "expected"), REQUESTS, ids=[path[:60] for path, _ in REQUESTS])
async def test_its_count_is_before_paging(feed, path, expected):
    """
    With the inline count, and without skip and top, a page has as many entries as the count says.
    """
    if "/Packages(" in path.replace("%28", "(") and "Version=" in path:
        return  # an entry is not counted
    options = [option for option in path.partition("?")[2].split("&") if option[:4] not in ("$ski", "$top", "%24t")]
    bare = f"{BASE}{path.partition('?')[0]}?{'&'.join(options)}&$inlinecount=allpages"
    async with serving(feed) as client:
        page = await read(client, bare)
        counted = await text(client, f"{BASE}{path.partition('?')[0]}/$count?{'&'.join(options)}")

    assert len(page.entries) == page.count == int(counted)
    assert set(expected) <= set(page.entries)


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        ('["Alpha.Lib"]', "/package-ids?partialId=Alp&includePrerelease=True&semVerLevel=2.0.0"),
        ('["Alpha.Lib","Beta.Lib","git"]', "/package-ids?partialId=&includePrerelease=False"),
        ("[]", "/package-ids?partialId=Nobody"),
        ("[]", "/package-ids?partialId=Lib&includePrerelease=True"),
        ('["git"]', "/package-ids?partialId='GI'"),
        ('["2.9.0","2.40.0"]', "/package-versions/git?includePrerelease=True&semVerLevel=2.0.0"),
        ('["1.0.0","1.1.0"]', "/package-versions/alpha.lib?includePrerelease=False&semVerLevel=2.0.0"),
        ('["1.0.0","1.1.0","1.2.0-beta"]', "/package-versions/alpha.lib?includePrerelease=True"),
        ('["1.0.0"]', "/package-versions/Beta.Lib?includePrerelease=True&semVerLevel=2.0.0"),
        ("[]", "/package-versions/no.such"),
        ("[]", "/package-versions/no%20id"),
    ],
)
async def test_tab_completion(feed, expected, query):
    async with serving(feed) as client:
        assert expected == await text(client, BASE + query)


async def test_ids_are_completed_from_their_beginning(feed):
    """
    Thirty other ids that contain the text somewhere do not crowd out the one that begins with it.
    """
    for number in range(40):
        feed.add(f"Other{number}.Zeta", "1.0.0")
    feed.add("Zeta.Core", "1.0.0")
    async with serving(feed) as client:
        assert await text(client, f"{BASE}/package-ids?partialId=zeta") == '["Zeta.Core"]'
        everything = orjson.loads(await text(client, f"{BASE}/package-ids?partialId="))

    assert len(everything) == 30
