"""nugetproxy prewarm: which packages a list wants with their dependencies, the extras, the limits, and the report."""

import asyncio
from json import loads
from typing import Any

import pytest

from tests.cli.site import Site
from tests.fakes.faults import status
from tests.fakes.upstream import FakeUpstream


@pytest.fixture
async def gallery(upstream: FakeUpstream) -> FakeUpstream:
    """Contoso.App needs Base 1.0.0 or newer, and there are several versions of Base."""
    upstream.add_package("Contoso.App", "1.0.0", dependencies=[("Contoso.Base", "1.0.0")], padding=10_000)
    upstream.add_package("Contoso.App", "2.0.0-beta", dependencies=[("Contoso.Gone", "[3.0.0]")])
    for version in ("1.0.0", "1.0.4", "1.2.0", "2.0.0-rc.1"):
        upstream.add_package("Contoso.Base", version, padding=10_000)
    return upstream


@pytest.fixture
def site(gallery, tmp_path):
    return Site(tmp_path, gallery)


def states(report: Any) -> dict[str, str]:
    return {f"{each['id']} {each['version']}": each["state"] for each in report["packages"]}


@pytest.mark.parametrize(
    ("line", "arguments", "expected"),
    [
        ("Contoso.App 1.0.0", (), {"Contoso.App 1.0.0"}),
        ("Contoso.App 1.0.0", ("--framework", "net8.0"), {"Contoso.App 1.0.0", "Contoso.Base 1.0.0"}),
        ("Contoso.App", (), {"Contoso.App 1.0.0", "Contoso.Base 1.0.0"}),
        ("Contoso.App [1.0,2.0)", (), {"Contoso.App 1.0.0", "Contoso.Base 1.0.0"}),
        ("Contoso.Base 1.*", (), {"Contoso.Base 1.2.0"}),
        ("Contoso.App", ("--latest-patch",), {"Contoso.App 1.0.0", "Contoso.Base 1.0.0", "Contoso.Base 1.0.4"}),
        ("Contoso.Base [1.0.0]", ("--newest", "2"), {f"Contoso.Base {v}" for v in ("1.0.0", "1.0.4", "1.2.0")}),
        ("Contoso.App [1.0.0]", ("--all-versions", "Contoso.B*", "--framework", "net8.0"),
         {"Contoso.App 1.0.0", *(f"Contoso.Base {v}" for v in ("1.0.0", "1.0.4", "1.2.0", "2.0.0-rc.1"))}),
        ("", ("--all-versions", "Contoso.Base"),
         {f"Contoso.Base {v}" for v in ("1.0.0", "1.0.4", "1.2.0", "2.0.0-rc.1")}),
    ],
)  # fmt: skip
async def test_what_a_line_wants(site, line, arguments, expected):
    report = await site.report(line, *arguments)
    assert states(report) == dict.fromkeys(expected, "fetched")
    assert len(site.kept) == len(expected)
    assert report["complete"] is True


async def test_who_wants_it_is_reported(site, tmp_path):
    file = tmp_path / "report.json"
    ended = await site.run("Contoso.App\nContoso.Base 1.0.0", "--report", str(file))
    report = loads(file.read_bytes())
    assert ended.exit_code == 0
    [base] = [each for each in report["packages"] if each["id"] == "Contoso.Base"]
    listed = str(tmp_path / "packages.txt")
    assert base["wanted_by"] == [[f"{listed}, line 2"], [f"{listed}, line 1", "Contoso.App 1.0.0"]]
    assert (report["fetched"], report["kept_before"], report["problems"], report["unsure"]) == (2, 0, [], [])
    assert report["bytes_fetched"] == sum(path.stat().st_size for path in (site.data / "mirror").rglob("*.nupkg"))
    assert (await site.report("Contoso.App"))["kept_before"] == 2


async def test_what_no_version_satisfies_is_named_with_who_wants_it(site):
    report = await site.report("Contoso.App [2.0.0-beta]\nNobody\nContoso.Base [9.0,)", "--framework", "net8.0", code=1)
    told = {each["what"].partition(" ")[0]: each for each in report["problems"]}
    assert set(told) == {"Contoso.Gone", "Nobody", "Contoso.Base"}
    assert told["Contoso.Gone"]["wanted_by"][0][-1] == "Contoso.App 2.0.0-beta"
    assert told["Contoso.Base"]["nearest"] == "2.0.0-rc.1"
    assert states(report) == {"Contoso.App 2.0.0-beta": "fetched"}
    ended = await site.run("Contoso.App [2.0.0-beta]", "--framework", "net8.0")
    assert "(wanted by " in ended.stderr
    assert "> Contoso.App 2.0.0-beta)" in ended.stderr


async def test_an_id_that_cannot_be_asked_about_is_not_called_absent(site, gallery):
    gallery.fault("*/contoso.base/*", status(403))
    report = await site.report("Contoso.App", code=1)
    assert states(report) == {"Contoso.App 1.0.0": "fetched"}
    assert "403" in report["problems"][0]["why"]


async def test_dependencies_that_are_unknown_are_a_problem(site, gallery):
    """The package itself is fetched, but nobody knows what it needs."""
    gallery.fault("*.nuspec", status(403))
    report = await site.report("Contoso.App", code=1)
    assert states(report) == {"Contoso.App 1.0.0": "fetched"}
    assert [each["what"] for each in report["problems"]] == ["dependencies of contoso.app"]
    assert "403" in report["problems"][0]["why"]


async def test_what_if_fetches_no_package(site, gallery):
    report = await site.report("Contoso.App", "--what-if")
    assert states(report) == dict.fromkeys(["Contoso.App 1.0.0", "Contoso.Base 1.0.0"], "would_fetch")
    assert gallery.requests_for("*.nupkg") == 0
    sizes = {each["id"]: each["bytes"] for each in report["packages"]}
    package = gallery.gallery.packages["contoso.app"]["1.0.0"].nupkg
    assert sizes["Contoso.App"] in (len(package), None)
    assert (report["would_fetch"], report["kept_before"]) == (2, 0)
    await site.run("Contoso.Base 1.0.0")
    assert states(await site.report("Contoso.App", "--what-if"))["Contoso.Base 1.0.0"] == "kept"
    assert "1 to fetch" in (await site.run("Contoso.App", "--what-if")).stdout


async def test_a_limit_of_bytes(site, gallery):
    size = len(gallery.gallery.packages["contoso.app"]["1.0.0"].nupkg)
    await site.run("Contoso.Base 1.0.0")
    ended = await site.run("Contoso.App\nContoso.Base [1.2.0]", "--max-bytes", str(size + 100), "--parallel", "1")
    assert ended.exit_code == 1
    assert "would exceed --max-bytes" in ended.stderr
    assert len(site.kept) == 2


async def test_sources_without_packages(site, gallery):
    empty, full = await site.report("# nothing"), await site.report("Contoso.App")
    assert set(empty) == set(full)
    assert (empty["complete"], empty["packages"]) == (True, [])
    code, row = await site.prove(str(site.data.parent / "packages.txt"))
    (site.data.parent / "packages.txt").write_text("")
    assert (code, row["packages"]) == (0, 2)
    code, row = await site.prove(str(site.data.parent / "packages.txt"))
    assert (code, row["complete"], row["gaps"]) == (0, True, [])


async def test_pins_under_a_name(site):
    report = await site.report("Contoso.App", "--as", "web-team")
    assert report["pinned_as"] == "web-team"
    pinned = await asyncio.to_thread(site.line.json, "mirror", "list", "--state", "pinned")
    assert {row["id"] for row in pinned} == {"contoso.app", "contoso.base"}
    shown = await asyncio.to_thread(site.line.json, "mirror", "show", "Contoso.Base", "1.0.0")
    assert [each["name"] for each in shown["pins"]] == ["web-team"]
    assert (await asyncio.to_thread(site.line.json, "mirror", "unpin", "--name", "web-team"))["unpinned"] == 2
    again = await asyncio.to_thread(site.line.run, "mirror", "unpin", "--name", "web-team")
    assert (again.exit_code, again.stderr) == (1, "nugetproxy: no package is pinned under the name web-team\n")
    assert (await asyncio.to_thread(site.line.run, "mirror", "unpin")).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--framework", "eight"), "--framework: 'eight' is not a target framework"),
        (("--all-versions", "Contoso/x"), "is not a pattern"),
        (("--max-bytes", "much"), "--max-bytes"),
        (("--property", "Configuration"), "expected NAME=VALUE"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_any_request(site, gallery, arguments, sentence):
    ended = await site.run("Contoso.App", *arguments)
    assert (ended.exit_code, gallery.log) == (2, [])
    assert sentence in ended.stderr


async def test_protected_ids_are_not_asked_about(site, gallery, monkeypatch):
    monkeypatch.setenv("NUGETPROXY_FEED__PROTECTED_PREFIXES", '["Contoso.Base"]')
    report = await site.report("Contoso.App", code=1)
    assert states(report) == {"Contoso.App 1.0.0": "fetched"}
    assert report["problems"][0]["id"] == "Contoso.Base"
    assert gallery.requests_for("*contoso.base*") == 0


async def test_feeds_of_a_nuget_config_are_named_and_not_asked(site, tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    feed = "http://127.0.0.1:9/private/v3/index.json"
    (repository / "nuget.config").write_text(
        f'<configuration><packageSources><add key="ours" value="{feed}" /></packageSources></configuration>'
    )
    (repository / "a.csproj").write_text(
        '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup>'
        '<ItemGroup><PackageReference Include="Nobody" Version="1.0.0" /></ItemGroup></Project>'
    )
    ended = await site.run("Contoso.App", str(repository))
    assert ended.exit_code == 1
    assert f"Not asked: {feed}, which a nuget.config names" in ended.stderr
    assert "Could not be fetched: Nobody" in ended.stderr
