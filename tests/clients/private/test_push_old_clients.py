"""The private feed with nuget.exe, 5.8 on both protocols and 2.8.7 on V2, over hosted and mirrored packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.private import PROTECTING, Accounts, package, push, send
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nuget_org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """An upstream with packages that 2.8.7 can read."""
    folder = tmp_path_factory.mktemp("public")
    for package_id, version in (("Public.Lib", "1.0.0"), ("Public.Library", "1.0.0"), ("Public.Library", "1.1.0")):
        (folder / f"{package_id}.{version}.nupkg").write_bytes(package(package_id, version))
    with StandIn("--packages", str(folder), "--no-made") as standin:
        yield standin


@pytest.fixture
def v2(server: Server) -> str:
    return f"{server.base}/api/v2"


def written(workplace: Workplace, package_id: str, version: str = "1.0.0", *dependencies: tuple[str, str]) -> str:
    """The file name of a new package in the workplace's folder; 2.8.7 on Linux takes no path from the root."""
    name = f"{package_id}.{version}.nupkg"
    (workplace.folder / name).write_bytes(package(package_id, version, dependencies=dependencies))
    return name


def lines(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.strip()]


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


@pytest.mark.parametrize("protocol", ["v3", "v2"])
def test_nuget_5(protocol: str, workplace: Workplace, v2: str, key: str) -> None:
    """
    Push, install with a private and a public dependency, unlist, and check that it is gone from the list.
    """
    source = v2 if protocol == "v2" else workplace.source
    name, base = f"Contoso.Five.{protocol}", f"Contoso.Five.{protocol}.Base"
    for file in (written(workplace, base), written(workplace, name, "1.0.0", (base, "1.0.0"), ("Public.Lib", "1.0.0"))):
        pushed = workplace.nuget_exe("push", file, "-Source", source, "-ApiKey", key, "-NonInteractive").must_succeed()
        assert "Your package was pushed." in pushed.output

    workplace.nuget_exe("install", name, "-OutputDirectory", "out", "-Source", source, "-NonInteractive").must_succeed()
    assert installed(workplace.folder / "out") == {f"{name}.1.0.0", f"{base}.1.0.0", "Public.Lib.1.0.0"}

    deleted = workplace.nuget_exe("delete", base, "1.0.0", "-Source", source, "-ApiKey", key, "-NonInteractive")
    assert "was deleted successfully" in deleted.must_succeed().output
    listed = workplace.nuget_exe("list", name, "-Source", source, "-NonInteractive").must_succeed().output
    assert lines(listed) == [f"{name} 1.0.0"]


def test_nuget_5_shows_the_reason(workplace: Workplace, key: str) -> None:
    file = written(workplace, "Contoso.Five.Twice")
    workplace.nuget_exe("push", file, "-Source", workplace.source, "-ApiKey", key, "-NonInteractive").must_succeed()
    output = workplace.nuget_exe("push", file, "-Source", workplace.source, "-ApiKey", key, "-NonInteractive")

    assert "409 (A package with ID 'Contoso.Five.Twice' and version '1.0.0' already exists" in output.must_fail().output


class TestNuget2:
    def test_push(self, workplace: Workplace, server: Server, v2: str, key: str) -> None:
        file = written(workplace, "Contoso.Two.Pushed")
        output = workplace.old_nuget("push", file, key, "-Source", v2, "-NonInteractive").must_succeed().output

        assert "Your package was pushed." in output
        path = "/v3/flatcontainer/contoso.two.pushed/1.0.0/contoso.two.pushed.1.0.0.nupkg"
        assert server.get(path) == (workplace.folder / file).read_bytes()

    def test_push_to_the_host_alone(self, workplace: Workplace, server: Server, key: str) -> None:
        """
        With a host and no path it pushes to /api/v2/package/.
        """
        file = written(workplace, "Contoso.Two.Host")
        output = workplace.old_nuget("push", file, key, "-Source", f"{server.base}/", "-NonInteractive").must_succeed()

        assert "Your package was pushed." in output.output

    def test_is_reported_why_not(self, workplace: Workplace, server: Server, v2: str, key: str) -> None:
        push(server, key, package("Contoso.Two.Twice"))
        file = written(workplace, "Contoso.Two.Twice")
        output = workplace.old_nuget("push", file, key, "-Source", v2, "-NonInteractive").must_fail().output

        assert "A package with ID 'Contoso.Two.Twice' and version '1.0.0' already exists" in " ".join(lines(output))

    def test_a_wrong_key(self, workplace: Workplace, v2: str) -> None:
        file = written(workplace, "Contoso.Two.Never")
        output = workplace.old_nuget("push", file, "wrong", "-Source", v2, "-NonInteractive").must_fail().output

        assert "403" in output

    def test_install_with_dependencies(self, workplace: Workplace, server: Server, v2: str, key: str) -> None:
        """
        Hosted and mirrored packages form one graph.
        """
        needs = [("Contoso.Two.Base", "1.0.0"), ("Public.Lib", "1.0.0")]
        push(server, key, package("Contoso.Two.Base"), package("Contoso.Two.App", dependencies=needs))
        workplace.old_nuget("install", "Contoso.Two.App", "-OutputDirectory", "out", "-Source", v2).must_succeed()

        expected = {"Contoso.Two.App.1.0.0", "Contoso.Two.Base.1.0.0", "Public.Lib.1.0.0"}
        assert installed(workplace.folder / "out") == expected

    def test_delete(self, workplace: Workplace, server: Server, v2: str, key: str) -> None:
        """
        It is unlisted: gone from the list, which also shows mirrored packages, but still installed by version.
        """
        push(server, key, package("Contoso.Two.Lib"), package("Contoso.Two.Lib", "1.1.0"))
        deleted = workplace.old_nuget("delete", "Contoso.Two.Lib", "1.1.0", key, "-Source", v2, "-NonInteractive")
        assert "was deleted successfully" in deleted.must_succeed().output

        listed = workplace.old_nuget("list", "Lib", "-Source", v2).must_succeed().output
        assert sorted(lines(listed)) == ["Contoso.Two.Lib 1.0.0", "Public.Lib 1.0.0", "Public.Library 1.1.0"]
        workplace.old_nuget(
            "install", "Contoso.Two.Lib", "-Version", "1.1.0", "-OutputDirectory", "out", "-Source", v2
        ).must_succeed()
        assert installed(workplace.folder / "out") == {"Contoso.Two.Lib.1.1.0"}

    def test_mirrored_packages_cannot_be_deleted(self, workplace: Workplace, v2: str, key: str) -> None:
        """
        The list shows it next to ours, and the same address accepts deletions: the upstream's packages are unaffected.
        """
        ran = workplace.old_nuget("delete", "Public.Lib", "1.0.0", key, "-Source", v2, "-NonInteractive")

        assert "404" in ran.must_fail().output

    def test_restore_and_update(self, workplace: Workplace, server: Server, v2: str, key: str) -> None:
        """
        One update covers hosted and mirrored packages, and skips unlisted versions.
        """
        push(server, key, *(package("Contoso.Two.Ageing", version) for version in ("1.0.0", "1.1.0", "1.2.0")))
        assert send(server, "DELETE", "/api/v2/package/Contoso.Two.Ageing/1.2.0", key=key).status == 204
        config = workplace.old_project("project", ("Contoso.Two.Ageing", "1.0.0"), ("Public.Library", "1.0.0"))
        folder = workplace.folder / "packages"
        where = ("-Source", v2, "-NonInteractive")
        workplace.old_nuget(
            "restore", str(config), "-PackagesDirectory", str(folder), *where, cwd=config.parent
        ).must_succeed()
        assert installed(folder) == {"Contoso.Two.Ageing.1.0.0", "Public.Library.1.0.0"}

        workplace.old_nuget(
            "update", str(config), "-RepositoryPath", str(folder), *where, cwd=config.parent
        ).must_succeed()
        assert 'id="Contoso.Two.Ageing" version="1.1.0"' in config.read_text()
        assert 'id="Public.Library" version="1.1.0"' in config.read_text()


@not_in_fleet("carries the data directory of one machine")
def test_nuget_2_offline(tmp_path: Path, nuget_org: StandIn) -> None:
    """
    Prewarmed and hosted packages are listed and installed without any upstream.
    """
    wanted, data, config = tmp_path / "wanted.txt", tmp_path / "data", tmp_path / "data.toml"
    wanted.write_text("Public.Library 1.0.0\n")
    config.write_text(PROTECTING)
    options = ["--data", str(data), "--config", str(config), "--upstream", nuget_org.url]
    assert CliRunner().invoke(main, ["prewarm", str(wanted), *options]).exit_code == 0
    nuget_org.forget()
    with Server(data, "--offline", upstream=nuget_org.url, config=PROTECTING) as server:
        accounts = Accounts(data)
        accounts.add_user("alice")
        key, v2 = accounts.add_key("ci", "alice"), f"{server.base}/api/v2"
        needs = [("Public.Library", "1.0.0")]
        for version in ("1.0.0", "1.1.0"):
            push(server, key, package("Contoso.Two.Library", version, dependencies=needs))
        assert send(server, "DELETE", "/api/v2/package/Contoso.Two.Library/1.1.0", key=key).status == 204

        workplace = Workplace(tmp_path / "work", server.url)
        listed = workplace.old_nuget("list", "Library", "-Source", v2).must_succeed().output
        assert sorted(lines(listed)) == ["Contoso.Two.Library 1.0.0", "Public.Library 1.0.0"]
        workplace.old_nuget("install", "Contoso.Two.Library", "-OutputDirectory", "out", "-Source", v2).must_succeed()
        assert installed(workplace.folder / "out") == {"Contoso.Two.Library.1.0.0", "Public.Library.1.0.0"}
    assert nuget_org.log() == []
