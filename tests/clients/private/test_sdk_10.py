"""The private feed with the .NET SDK 10: pack, push, restore beside public packages, search, unlist."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.clients.kit import Source, Workplace
from tests.private import Accounts, hosted_ids_asked, package, push, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

LIBRARY = (
    '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework>'
    "<Version>1.0.0</Version><Authors>Contoso</Authors>"
    "<IncludeSymbols>true</IncludeSymbols><SymbolPackageFormat>snupkg</SymbolPackageFormat></PropertyGroup>"
    '<ItemGroup><PackageReference Include="Serilog" Version="4.3.0" /></ItemGroup></Project>'
)
CODE = 'namespace Contoso { public static class Greeter { public static string Greet() => "hello"; } }'
REFUSED_KEY = (
    "403 (The specified API key is invalid, has expired, or does not have permission to access the specified package.)"
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """A .nupkg that depends on a public package, and its .snupkg, as created by `dotnet pack`."""
    workplace = Workplace(tmp_path_factory.mktemp("packing") / "work", server.url)
    project = workplace.folder / "Contoso.Greeting"
    project.mkdir()
    (project / "Contoso.Greeting.csproj").write_text(LIBRARY)
    (project / "Greeter.cs").write_text(CODE)
    workplace.dotnet("pack", "-o", str(workplace.folder), cwd=project).must_succeed()
    return workplace.folder / "Contoso.Greeting.1.0.0.nupkg"


@pytest.fixture(scope="module")
def pushed(packed: Path, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory, server: Server) -> str:
    """The output of `dotnet nuget push`, with a key that expires soon."""
    soon = accounts.add_key("soon", "alice", expires="5d")
    workplace = Workplace(tmp_path_factory.mktemp("pushing") / "work", server.url)
    return workplace.dotnet("nuget", "push", str(packed), "-s", "here", "-k", soon).must_succeed().output


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A package that does not exist yet."""
    file = tmp_path / "Contoso.Never.1.0.0.nupkg"
    file.write_bytes(package("Contoso.Never"))
    return file


def found(workplace: Workplace, text: str) -> list[str]:
    """The ids and versions that `dotnet package search` shows."""
    output = workplace.dotnet("package", "search", text, "--format", "json").must_succeed().output
    hits = json.loads(output)["searchResult"][0]["packages"]
    return [f"{hit['id']} {hit['latestVersion']}" for hit in hits]


class TestPush:
    def test_the_package_and_its_symbols(self, pushed: str, packed: Path, server: Server) -> None:
        """
        One command, two pushes, and the download is the same file.
        """
        assert pushed.count("Your package was pushed.") == 2
        assert "Pushing Contoso.Greeting.1.0.0.snupkg" in pushed
        path = "/v3/flatcontainer/contoso.greeting/1.0.0/contoso.greeting.1.0.0.nupkg"
        assert server.get(path) == packed.read_bytes()

    def test_warnings_are_shown(self, pushed: str) -> None:
        assert "warn : The package does not contain a readme." in pushed
        assert "warn : The package has no license." in pushed
        assert re.search(r"warn : Your API key 'soon' expires in [45] day", pushed)

    def test_a_second_time(self, pushed: str, packed: Path, workplace: Workplace, key: str) -> None:
        output = workplace.dotnet("nuget", "push", str(packed), "-s", "here", "-k", key).must_fail().output

        assert "409 (A package with ID 'Contoso.Greeting' and version '1.0.0' already exists" in output
        assert "use the option --skip-duplicate" in output

    def test_a_second_time_that_is_skipped(self, pushed: str, packed: Path, workplace: Workplace, key: str) -> None:
        run = workplace.dotnet("nuget", "push", str(packed), "-s", "here", "-k", key, "--skip-duplicate")

        assert "already exists at feed" in run.must_succeed().output

    def test_a_wrong_key(self, made: Path, workplace: Workplace) -> None:
        output = workplace.dotnet("nuget", "push", str(made), "-s", "here", "-k", "wrong").must_fail().output

        assert REFUSED_KEY in output
        # A refusal is final: the body is not sent three times.
        assert output.count("PUT ") == 1

    def test_no_key(self, made: Path, workplace: Workplace) -> None:
        output = workplace.dotnet("nuget", "push", str(made), "-s", "here").must_fail().output

        assert "401 (An API key must be provided in the 'X-NuGet-ApiKey' header to use this service)" in output

    def test_an_expired_key(self, made: Path, workplace: Workplace, accounts: Accounts) -> None:
        old = accounts.add_key("old", "alice", expires="500ms")
        time.sleep(0.5)  # its end is counted from before it was made
        output = workplace.dotnet("nuget", "push", str(made), "-s", "here", "-k", old).must_fail().output

        assert REFUSED_KEY in output

    def test_a_revoked_key(self, made: Path, workplace: Workplace, accounts: Accounts) -> None:
        """
        Revoked while the server runs, and refused immediately.
        """
        gone = accounts.add_key("gone", "alice")
        accounts.run("key", "revoke", "gone")
        output = workplace.dotnet("nuget", "push", str(made), "-s", "here", "-k", gone).must_fail().output

        assert REFUSED_KEY in output

    def test_a_key_for_other_ids(self, made: Path, workplace: Workplace, accounts: Accounts) -> None:
        narrow = accounts.add_key("narrow", "alice", glob="Contoso.Other.*")
        output = workplace.dotnet("nuget", "push", str(made), "-s", "here", "-k", narrow).must_fail().output

        assert "403 (API key 'narrow' does not cover Contoso.Never, it covers Contoso.Other.*)" in output

    def test_an_id_that_is_not_protected(self, workplace: Workplace, key: str) -> None:
        """
        Ids that may be public cannot be pushed: no private package shadows a public one by accident.
        """
        file = workplace.folder / "Serilog.99.0.0.nupkg"
        file.write_bytes(package("Serilog", "99.0.0"))
        output = workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_fail().output

        assert "403 (Serilog is not below a protected prefix" in output

    def test_a_broken_package(self, workplace: Workplace, key: str) -> None:
        file = workplace.folder / "Contoso.Broken.1.0.0.nupkg"
        file.write_bytes(package("Contoso.Broken")[:-30])
        output = workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", key).must_fail().output

        assert "does not indicate success: 400 (" in output
        assert output.count("PUT ") == 1


class TestRestore:
    def test_private_and_public_together(self, pushed: str, workplace: Workplace, nuget_org: StandIn) -> None:
        """
        One feed: ours, what ours depends on, and a public one; and the lock file holds on another machine.
        """
        nuget_org.forget()
        project = workplace.project("app", ("Contoso.Greeting", "1.0.0"), ("Dapper", "2.0.78"))
        workplace.dotnet("restore", "--use-lock-file", cwd=project).must_succeed()
        for lower_id, version in (("contoso.greeting", "1.0.0"), ("serilog", "4.3.0"), ("dapper", "2.0.78")):
            assert (workplace.packages / lower_id / version).is_dir()

        workplace.forget()
        workplace.dotnet("restore", "--locked-mode", cwd=project).must_succeed()
        assert (workplace.packages / "contoso.greeting" / "1.0.0").is_dir()
        assert hosted_ids_asked(nuget_org.log()) == []

    def test_with_a_source_mapping(self, pushed: str, workplace: Workplace, server: Server, nuget_org: StandIn) -> None:
        """
        If clients have a public source as well, a source mapping restricts our ids to our feed.
        """
        nuget_org.forget()
        ours = Source(server.url, patterns=("Contoso.*",))
        workplace.configure({"ours": ours, "public": Source(nuget_org.url, patterns=("*",))})
        project = workplace.project("mapped", ("Contoso.Greeting", "*"), audit=False)
        workplace.dotnet("restore", cwd=project).must_succeed()

        assert (workplace.packages / "contoso.greeting" / "1.0.0").is_dir()
        assert hosted_ids_asked(nuget_org.log()) == []

    def test_a_push_is_seen_at_once(self, workplace: Workplace, server: Server, key: str) -> None:
        """
        A moment ago the version did not exist, also in hot answers.
        """
        push(server, key, package("Contoso.Growing", "1.0.0"))
        project = workplace.project("growing", ("Contoso.Growing", "[2.0.0]"), audit=False)
        assert "NU1102" in workplace.dotnet("restore", cwd=project).must_fail().output
        push(server, key, package("Contoso.Growing", "2.0.0"))
        workplace.forget()

        workplace.dotnet("restore", cwd=project).must_succeed()


class TestUnlist:
    def test_hidden_but_still_restored(self, workplace: Workplace, server: Server, key: str) -> None:
        push(server, key, package("Contoso.Hiding", "1.0.0"), package("Contoso.Hiding", "1.1.0"))
        assert found(workplace, "Contoso.Hiding") == ["Contoso.Hiding 1.1.0"]

        deleted = workplace.dotnet(
            "nuget", "delete", "Contoso.Hiding", "1.1.0", "-s", "here", "-k", key, "--non-interactive"
        )
        assert "Contoso.Hiding 1.1.0 was deleted successfully." in deleted.must_succeed().output
        workplace.forget()

        assert found(workplace, "Contoso.Hiding") == ["Contoso.Hiding 1.0.0"]
        project = workplace.project("exact", ("Contoso.Hiding", "[1.1.0]"), audit=False)
        workplace.dotnet("restore", cwd=project).must_succeed()
        assert (workplace.packages / "contoso.hiding" / "1.1.0").is_dir()

    def test_an_unknown_version(self, workplace: Workplace, key: str) -> None:
        run = workplace.dotnet("nuget", "delete", "Contoso.None", "1.0.0", "-s", "here", "-k", key, "--non-interactive")

        assert "404 (A package with ID 'Contoso.None' and version '1.0.0' does not exist.)" in run.must_fail().output


def test_outdated(workplace: Workplace, server: Server, key: str) -> None:
    """
    The newest listed version is offered, a newer unlisted one is not.
    """
    push(server, key, *(package("Contoso.Ageing", version) for version in ("1.0.0", "1.1.0", "1.2.0")))
    Workplace(workplace.folder.parent / "other", server.url).dotnet(
        "nuget", "delete", "Contoso.Ageing", "1.2.0", "-s", "here", "-k", key, "--non-interactive"
    ).must_succeed()
    project = workplace.project("ageing", ("Contoso.Ageing", "1.0.0"), audit=False)
    output = workplace.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output

    assert re.search(r"> Contoso\.Ageing +1\.0\.0 +1\.0\.0 +1\.1\.0", output), output


def test_deprecated(workplace: Workplace, server: Server, key: str) -> None:
    push(server, key, package("Contoso.Leaving", "1.0.0"))
    body = b"versions=1.0.0&isLegacy=true&alternatePackageId=Contoso.Coming"
    reply = send(server, "PUT", "/api/v2/package/Contoso.Leaving/deprecations", key=key, body=body)
    assert reply.status == 200, reply
    project = workplace.project("leaving", ("Contoso.Leaving", "1.0.0"), audit=False)
    output = workplace.dotnet("list", "package", "--deprecated", cwd=project).must_succeed().output

    assert re.search(r"> Contoso\.Leaving +1\.0\.0 +1\.0\.0 +Legacy +Contoso\.Coming", output), output


def test_add_takes_the_latest(workplace: Workplace, server: Server, key: str) -> None:
    push(server, key, *(package("Contoso.Added", version) for version in ("1.0.0", "1.1.0", "2.0.0-beta.1")))
    project = workplace.project("adding", audit=False)
    workplace.dotnet("package", "add", "Contoso.Added", "--project", str(project)).must_succeed()

    assert '"Contoso.Added" Version="1.1.0"' in (project / "adding.csproj").read_text()
