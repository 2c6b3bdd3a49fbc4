"""The private feed with the .NET SDK 3.1, which companies still build with: its own pack, push and restore."""

from pathlib import Path

import pytest

from tests.clients.kit import Workplace
from tests.private import hosted_ids_asked, package, push
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """A .nupkg that depends on a public package, and its .snupkg, as created by the SDK's `pack`."""
    workplace = Workplace(tmp_path_factory.mktemp("packing") / "work", server.url)
    project = workplace.project("Contoso.Core", ("Newtonsoft.Json", "13.0.3"), frameworks="netcoreapp3.1")
    (project / "Core.cs").write_text("namespace Contoso { public class Core { } }")
    symbols = ("-p:IncludeSymbols=true", "-p:SymbolPackageFormat=snupkg")
    workplace.dotnet31("pack", "-o", str(workplace.folder), *symbols, cwd=project).must_succeed()
    return workplace.folder / "Contoso.Core.1.0.0.nupkg"


@pytest.fixture(scope="module")
def pushed(packed: Path, key: str, tmp_path_factory: pytest.TempPathFactory, server: Server) -> str:
    """What `dotnet nuget push` said of it."""
    workplace = Workplace(tmp_path_factory.mktemp("pushing") / "work", server.url)
    return workplace.dotnet31("nuget", "push", str(packed), "-s", "here", "-k", key).must_succeed().output


def restored(workplace: Workplace, package_id: str) -> list[str]:
    """The versions of it in the global packages folder."""
    folder = workplace.packages / package_id.lower()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_push_sends_the_package_and_its_symbols(pushed: str, packed: Path, server: Server) -> None:
    """
    One command, two pushes, and the downloads are the same files.
    """
    assert pushed.count("Your package was pushed.") == 2
    assert "Pushing Contoso.Core.1.0.0.snupkg" in pushed
    assert server.get("/v3/flatcontainer/contoso.core/1.0.0/contoso.core.1.0.0.nupkg") == packed.read_bytes()
    symbols = packed.with_suffix(".snupkg").read_bytes()
    assert server.get("/api/v2/symbolpackage/Contoso.Core/1.0.0") == symbols


def test_push_a_second_time(pushed: str, packed: Path, workplace: Workplace, key: str) -> None:
    output = workplace.dotnet31("nuget", "push", str(packed), "-s", "here", "-k", key).must_fail().output

    assert "409 (A package with ID 'Contoso.Core' and version '1.0.0' already exists" in output


def test_push_a_second_time_that_is_skipped(pushed: str, packed: Path, workplace: Workplace, key: str) -> None:
    run = workplace.dotnet31("nuget", "push", str(packed), "-s", "here", "-k", key, "--skip-duplicate")

    assert "Contoso.Core.1.0.0.nupkg' already exists at feed" in run.must_succeed().output


def test_restore_private_and_public_together(pushed: str, workplace: Workplace, nuget_org: StandIn) -> None:
    """
    Ours, the public package that ours depends on, and a public one of the project's own.
    """
    nuget_org.forget()
    references = (("Contoso.Core", "1.0.0"), ("Humanizer.Core", "2.14.1"))
    user = workplace.project("user", *references, frameworks="netcoreapp3.1", audit=False)
    workplace.dotnet31("restore", cwd=user).must_succeed()

    assert restored(workplace, "Contoso.Core") == ["1.0.0"]
    assert restored(workplace, "Humanizer.Core") == ["2.14.1"]
    assert restored(workplace, "Newtonsoft.Json") == ["13.0.3"]
    assert hosted_ids_asked(nuget_org.log()) == []


def test_delete_unlists(workplace: Workplace, server: Server, key: str) -> None:
    """
    It is not found, but still restored by its version.
    """
    push(server, key, package("Contoso.Leaving", "1.0.0"), package("Contoso.Leaving", "1.1.0"))
    deleted = workplace.dotnet31(
        "nuget", "delete", "Contoso.Leaving", "1.1.0", "-s", "here", "-k", key, "--non-interactive"
    )
    assert "Contoso.Leaving 1.1.0 was deleted successfully." in deleted.must_succeed().output
    found = server.get("/v3/query?q=packageid:contoso.leaving")
    assert b'"1.0.0"' in found
    assert b'"1.1.0"' not in found

    exact = workplace.project("exact", ("Contoso.Leaving", "[1.1.0]"), frameworks="netcoreapp3.1", audit=False)
    workplace.dotnet31("restore", cwd=exact).must_succeed()
    assert restored(workplace, "Contoso.Leaving") == ["1.1.0"]
