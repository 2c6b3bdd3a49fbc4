"""The page of a package: the same facts as the API, for the same readers."""

import zipfile
from urllib.parse import quote

import pytest
from lxml import etree

from nugetproxy.web.ui.package_view import range_text
from tests.builders import make_nupkg, make_nuspec
from tests.fakes.faults import status
from tests.flows.private_feed import basic, opened
from tests.shared import shared
from tests.web.ui.furnished_site import furnished_site


async def test_it_shows_what_is_known_of_a_hosted_package(tmp_path, upstream):
    async with furnished_site(tmp_path, upstream) as house:
        page = (await house.get("/packages/contoso.widgets")).body.decode()
        old = (await house.get("/packages/contoso.forms/1.0.0")).body.decode()
        tool = (await house.get("/packages/Contoso.Build")).body.decode()

    assert "<title>Contoso.Widgets 1.1.0" in page  # not the prerelease
    for expected in (
        "Hosted here", "alice", "Contoso Platform Team", "https://widgets.example.com", "commit <code>8f3c1d2a9b7e",
        "Sorting is stable.", '<h3>net8.0</h3>', 'href="/packages/Fabrikam.Json"', "≥ 1.2.0 and &lt; 2.0.0",
        '&lt;PackageReference Include=&#34;Contoso.Widgets&#34; Version=&#34;1.1.0&#34; /&gt;',
        "#:package Contoso.Widgets@1.1.0",
        "/v3/flatcontainer/contoso.widgets/1.1.0/icon", "2.0.0-beta.1", 'class="hash"', "packageSourceMapping",
    ):  # fmt: skip
        assert expected in page, expected
    assert "dotnet tool install --global Contoso.Build --version 3.1.4" in tool
    assert "it is legacy" in old
    assert "Forms moved." in old
    assert '<a href="/packages/Contoso.Widgets">Contoso.Widgets</a>' in old


async def test_it_shows_what_the_policy_withholds_and_who_can_allow_it(tmp_path, upstream):
    async with furnished_site(tmp_path, upstream) as house:
        page = (await house.get("/packages/Fabrikam.Json")).body.decode()
        withheld = await house.get("/packages/fabrikam.json/2.0.0")
        vulnerable = (await house.get("/packages/fabrikam.json/1.0.1")).body.decode()
        upstream_asked = upstream.requests_for("*2.0.0*")

    assert "<title>Fabrikam.Json 1.2.0" in page
    assert "Kept, " in page
    assert '<span class="mark bad">Withheld</span>' in page
    text = withheld.body.decode()
    assert (withheld.status, "cooling-off" in text) == (200, True)
    assert "New versions are reviewed by the platform team first." in text
    assert "nugetproxy policy allow" in text
    assert "Vulnerable: high" in vulnerable
    assert 'href="https://advisories.example.com/GHSA-1"' in vulnerable
    assert upstream_asked == 0


async def test_hosted_packages_are_for_those_who_may_read_them(tmp_path, upstream):
    """
    Every address below an id, the feed of pushes too; and what is mirrored stays open.
    """
    below = ("", "/1.0.0", "/versions", "/compare?from=1.0.0&to=1.0.0", "/badge.svg", "/feed.atom", "/1.0.0/files")
    async with opened(tmp_path, upstream, accounts={"anonymous_read": "mirrored"}) as house:
        upstream.add_package("Other.Public", "1.0.0")
        assert (await house.push("Contoso.Secret")).status == 201
        for path in ("/feed.atom", *(f"/packages/Contoso.Secret{end}" for end in below)):
            got = await house.get(path, {"Accept": "text/html"})
            # Without the header, which would open the browser's own form: the page leads to ours.
            assert (got.status, "www-authenticate" in got.headers) == (401, False), path
            assert b'href="/sign-in' in got.body, path
        for end in below:
            assert (await house.get(f"/packages/Other.Public{end}")).status == 200, end


async def test_no_upstream_is_asked_about_a_hosted_package(tmp_path, upstream):
    """
    Whatever is looked at, and although its prefix is not protected.
    """
    async with opened(tmp_path, upstream, feed={}, hosting={"allowed_ids": ["Plain.*"]}) as house:
        assert (await house.push("Plain.Secret")).status == 201
        for end in ("", "/1.0.0", "/versions", "/badge.svg", "/feed.atom", "/1.0.0/files"):
            assert (await house.get(f"/packages/Plain.Secret{end}")).status == 200, end

    assert [each for each in upstream.log if "secret" in f"{each.path}?{each.query}".lower()] == []


async def test_a_package_that_does_not_exist_or_has_an_odd_name(tmp_path, upstream):
    async with opened(tmp_path, upstream) as house:
        for path, expected in (
            ("/packages/Nobody.Has", 404), ("/packages/Nobody.Has/1.0.0", 404), ("/packages/%3Cscript%3E", 400),
            ("/packages/Contoso.Utils/nonsense", 400),
        ):  # fmt: skip
            assert (await house.get(path, {"Accept": "text/html"})).status == expected, path


async def test_the_page_of_thousands_of_versions_is_as_light_as_a_small_one(tmp_path, upstream):
    """
    Of the registration only the last page is fetched; the others are on pages of their own.
    """
    for number in range(260):
        upstream.add_package("Large.Id", f"1.{number}.0")
    upstream.add_package("Small.Id", "1.0.0")
    async with opened(tmp_path, upstream) as house:
        small = await house.get("/packages/Small.Id")
        large = await house.get("/packages/Large.Id")
        fetched = upstream.requests_for("*/large.id/page/*")
        third = (await house.get("/packages/Large.Id/versions?page=3")).body.decode()
        beyond = await house.get("/packages/Large.Id/versions?page=4")

    assert b"All 260 versions" in large.body
    assert len(large.body) < len(small.body) + 10_000
    assert fetched <= 2
    assert (">1.59.0<" in third, ">1.60.0<" in third, ">1.0.0<" in third) == (True, False, True)
    assert beyond.status == 400


async def test_what_cannot_be_learned_now_is_named(tmp_path, upstream):
    """
    An upstream that has no nuspec at the moment: the page is there without it.
    """
    upstream.add_package("Other.Public", "1.0.0")
    upstream.fault("*.nuspec", status(503))
    async with opened(tmp_path, upstream) as house:
        page = await house.get("/packages/Other.Public")

    assert page.status == 200
    assert b"because the nuspec could not be read in time" in page.body


async def test_hostile_values_are_text(tmp_path, upstream):
    """
    In every field of a nuspec.
    """
    attack = "\"'><img src=x onerror=top.ran()>{{7*7}}"
    escaped = attack.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    fields = "".join(f"<{name}>{escaped}</{name}>" for name in ("title", "releaseNotes", "copyright", "summary"))
    nuspec = make_nuspec("Contoso.Odd", "1.0.0", authors=attack, description=attack, tags=attack, more=fields)
    async with opened(tmp_path, upstream) as house:
        got = await house.push(make_nupkg("Contoso.Odd", nuspec=nuspec, files={"lib/a&b'.txt": b"x"}))
        assert got.status == 201, got.reason
        for path in (
            "/packages/Contoso.Odd",
            "/packages?q=odd",
            f"/packages?q={quote(attack)}",
            "/packages/Contoso.Odd/1.0.0/files",
        ):
            text = (await house.get(path)).body.decode()
            assert "<img src=x" not in text
            assert ("{{7*7}}" in text) == ("files" not in path)


async def test_files_are_a_tree_and_can_be_read(tmp_path, upstream):
    async with furnished_site(tmp_path, upstream) as house:
        tree = (await house.get("/packages/contoso.widgets/1.1.0/files")).body.decode()
        folder = (await house.get("/packages/contoso.widgets/1.1.0/files?folder=lib/net8.0")).body.decode()
        readme = (await house.get("/packages/contoso.widgets/1.1.0/files?path=README.md")).body.decode()
        library = (
            await house.get("/packages/contoso.widgets/1.1.0/files?path=lib/net8.0/Contoso.Widgets.dll")
        ).body.decode()
        absent = [
            (await house.get(f"/packages/contoso.widgets/1.1.0/files?{query}")).status
            for query in ("path=../../etc/passwd", "path=nothing", "folder=nothing", f"path={'x' * 1001}")
        ]
        counted = await house.hosting.statistics.total_of("contoso.widgets")

    assert "net8.0/" in tree
    assert "The package is not signed." in tree
    assert "path=lib%2Fnet8.0%2FContoso.Widgets.xml" in tree
    assert ("Contoso.Widgets.xml" in folder, "README.md" in folder) == (True, False)
    assert "`AddWidgets()`" in readme
    assert "not text" in library
    assert absent == [404, 404, 404, 400]
    assert counted == 0


async def test_what_depends_on_it(tmp_path, upstream):
    """
    Of hosted packages, the newest listed version that does; ids that only look alike do not count.
    """
    async with opened(tmp_path, upstream, accounts={"anonymous_read": "mirrored"}) as house:
        upstream.add_package("Other_Base", "1.0.0")
        for name, version, needs in (
            ("Contoso.A", "1.0.0", "other_base"), ("Contoso.A", "2.0.0", "Other_Base"),
            ("Contoso.A", "3.0.0", "OtherXBase"), ("Contoso.B", "1.0.0", "OtherXBase"),
        ):  # fmt: skip
            assert (await house.push(name, version, dependencies=[(needs, "[1.0.0, 2.0.0)")])).status == 201
        stranger = await house.get("/packages/other_base/used-by")
        found = await house.get("/packages/other_base/used-by", basic("alice", house.key))

    assert (stranger.status, b"Contoso.A" in stranger.body) == (200, False)
    page = found.body.decode()
    assert ("/packages/Contoso.A/2.0.0" in page, "3.0.0" in page, "Contoso.B" in page) == (True, False, False)
    assert "≥ 1.0.0 and &lt; 2.0.0" in page


async def test_two_versions_are_compared(tmp_path, upstream):
    async with furnished_site(tmp_path, upstream) as house:
        page = (await house.get("/packages/contoso.widgets/compare?from=1.0.0&to=1.1.0")).body.decode()
        unnamed = await house.get("/packages/contoso.widgets/compare?from=1.0.0")

    assert "≥ 1.0.0 and &lt; 2.0.0" in page
    assert "build/Contoso.Widgets.targets" in page
    assert "lib/netstandard2.0/Contoso.Widgets.dll" not in page
    assert unnamed.status == 400


async def test_public_names_of_assemblies_are_compared(tmp_path, upstream):
    """
    Those of a library that grew.
    """
    async with opened(tmp_path, upstream) as house:
        for ours, theirs in (("1.0.0", "6.7.0"), ("2.0.0", "7.9.0")):
            [package] = (shared() / "nuget-org/packages/nuget.versioning" / theirs).glob("*.nupkg")
            archive = zipfile.ZipFile(package)
            library = archive.read(next(name for name in archive.namelist() if name.endswith(".dll")))
            pushed = make_nupkg("Contoso.Names", ours, files={"lib/netstandard2.0/Contoso.Names.dll": library})
            assert (await house.push(pushed)).status == 201
        page = (await house.get("/packages/contoso.names/compare?from=1.0.0&to=2.0.0")).body.decode()

    assert '<h3 class="path">lib/netstandard2.0/Contoso.Names.dll</h3>' in page
    assert "<li>NuGet.Versioning." in page


async def test_the_badge_and_the_feeds(tmp_path, upstream):
    async with furnished_site(tmp_path, upstream) as house:
        stable = await house.get("/packages/contoso.widgets/badge.svg")
        newest = await house.get("/packages/contoso.widgets/badge.svg?prerelease=true")
        versions = await house.get("/packages/contoso.widgets/feed.atom")
        pushes = await house.get("/feed.atom")

    assert etree.fromstring(stable.body).findtext("{*}title") == "nugetproxy 1.1.0"
    assert etree.fromstring(newest.body).findtext("{*}title") == "nugetproxy 2.0.0-beta.1"
    assert [each.text for each in etree.fromstring(versions.body).iterfind("{*}entry/{*}title")] == [
        "Contoso.Widgets 2.0.0-beta.1", "Contoso.Widgets 1.1.0", "Contoso.Widgets 1.0.0",
    ]  # fmt: skip
    assert [each.text for each in etree.fromstring(pushes.body).iterfind("{*}entry/{*}title")][:2] == [
        "Contoso.Forms 1.0.0", "Contoso.Build 3.1.4",
    ]  # fmt: skip
    assert versions.headers["content-type"] == "application/atom+xml; charset=utf-8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1.0.0, )", "≥ 1.0.0"), ("(1.0.0, )", "> 1.0.0"), ("[1.0.0, 2.0.0)", "≥ 1.0.0 and < 2.0.0"),
        ("(, 2.0.0]", "≤ 2.0.0"), ("[1.0.0]", "= 1.0.0"), ("(, )", ""), ("", ""),
        ("1.0", "≥ 1.0"), ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_ranges_as_people_read_them(text, expected):
    assert range_text(text) == expected
