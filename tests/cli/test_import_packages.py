"""nugetproxy import-packages: its options, its output and its exit codes. What is imported: tests/hosting/moving_in."""

import json
from pathlib import Path

import pytest

import nugetproxy.runtime.moving_in_parts  # noqa: F401 - so that it inspects in threads
from tests.builders import make_nupkg, make_nuspec
from tests.cli.command_line import ME, CommandLine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    (path / "a.nupkg").write_bytes(make_nupkg("Contoso.Utils", "1.0.0"))
    (path / "b.nupkg").write_bytes(make_nupkg(nuspec=make_nuspec("Fabrikam.Old", description="")))
    return path


@pytest.fixture
def line(alice: CommandLine) -> CommandLine:
    """With two organisations, each with its prefix."""
    for name in ("Contoso", "Fabrikam"):
        alice.done("org", "add", name, "--admin", "alice")
        alice.done("prefix", "reserve", f"{name}.*", "--owner", name)
    return alice


def test_owners_from_a_file(line, folder, tmp_path):
    owners, report = tmp_path / "owners.toml", tmp_path / "report.json"
    owners.write_text('"Contoso.*" = "contoso"\n"*" = "Fabrikam"\n')
    arguments = ("import-packages", str(folder), "--owners", str(owners), "--report", str(report))
    told = line.done(*arguments)

    assert told.splitlines()[0] == "Fabrikam.Old 1.0.0: its nuspec has no description; the element is required"
    assert told.splitlines()[-1].startswith("Imported 2 files (0.0 MB). Here already: 0. Left out: 0. Refused: 0.")
    assert line.json("owner", "list", "Contoso.Utils")["owners"] == ["Contoso"]
    assert line.json("owner", "list", "Fabrikam.Old")["owners"] == ["Fabrikam"]
    [first, second] = json.loads(report.read_text())["files"]
    assert (first["id"], first["outcome"], second["owner"]) == ("Contoso.Utils", "imported", "Fabrikam")
    pushes = [each for each in line.audited() if each["action"] == "package.push"]
    assert {(each["actor"], each["detail"]) for each in pushes} == {
        (f"{ME} for Contoso", f"from {folder}"), (f"{ME} for Fabrikam", f"from {folder}"),
    }  # fmt: skip
    assert line.json(*arguments)["kept"] == 2


def test_refusals_are_listed_and_end_with_1(line, folder):
    """
    One line for all versions of an id that are refused for the same reason.
    """
    (folder / "c.nupkg").write_bytes(make_nupkg("Other", "1.0.0"))
    (folder / "d.nupkg").write_bytes(make_nupkg("Other", "2.0.0"))
    ended = line.run("import-packages", str(folder), "--owner", "Contoso", "--dry-run")
    assert ended.exit_code == 1
    assert "refused Fabrikam.Old 1.0.0 (b.nupkg): This package ID has been reserved." in ended.stderr
    assert "refused Other (2 files, the first is c.nupkg): Other is not below a protected prefix" in ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("Would import 1 files")
    assert line.json("package", "list") == []


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "--owner NAME, or --owners FILE"),
        (("--owner", "nobody"), 1, "there is no user or organisation 'nobody'"),
        (("--owner", "Contoso", "--include", "Contoso."), 2, "did you mean"),
        (("--owner", "Contoso", "--report", "/nowhere/report.json"), 2, "/nowhere/report.json cannot be written"),
        (("--owners", "/dev/null", "--owner", "Conto"), 1, "did you mean 'Contoso'?"),
    ],
)
def test_what_cannot_be_meant_so(line, folder, arguments, code, why):
    assert why in line.refused("import-packages", str(folder), *arguments, code=code)


def test_a_file_of_owners_that_is_wrong(line, folder, tmp_path):
    owners = tmp_path / "owners.toml"
    owners.write_text("Contoso.* = 1")
    assert f"{owners}: not TOML" in line.refused("import-packages", str(folder), "--owners", str(owners), code=2)


def test_a_disabled_owner(line, folder):
    line.done("user", "add", "bob")
    line.done("user", "disable", "bob")
    assert "bob is disabled" in line.refused("import-packages", str(folder), "--owner", "bob", code=2)


def test_where_nothing_is_hosted(line, folder, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("[hosting]\nenabled = false\n")
    arguments = ("import-packages", str(folder), "--owner", "Contoso", "--config", str(config))
    assert "hosting.enabled is false" in line.refused(*arguments, code=2)
