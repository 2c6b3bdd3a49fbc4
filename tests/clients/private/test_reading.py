"""Feeds that require credentials: real clients with credentials, and their errors without."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nugetproxy.accounts.permissions import CREDENTIALS_NEEDED
from tests.clients.deployment import serve
from tests.clients.kit import Source, Workplace
from tests.private import PROTECTING, Accounts, package, push
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

PASSWORD = "correct horse battery staple"


class Closed:
    """A server that asks for credentials, with a private package on it."""

    def __init__(self, folder: Path, upstream: StandIn, anonymous_read: str) -> None:
        config = f'{PROTECTING}[accounts]\nanonymous_read = "{anonymous_read}"\n'
        self.server = serve(folder / "data", upstream=upstream.url, config=config)

    def __enter__(self) -> "Closed":
        self.server.start()
        self.accounts = Accounts(self.server.data)
        self.accounts.add_user("alice", PASSWORD)
        self.key = self.accounts.add_key("ci", "alice")
        push(self.server, self.key, package("Contoso.Closed"))
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def workplace(self, folder: Path, password: str | None) -> Workplace:
        made = Workplace(folder / "work", self.server.url)
        if password is not None:
            made.configure({"here": Source(self.server.url, ("alice", password))})
        return made


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Closed]:
    with Closed(tmp_path_factory.mktemp("closed"), nuget_org, "none") as made:
        yield made


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Closed]:
    with Closed(tmp_path_factory.mktemp("half"), nuget_org, "mirrored") as made:
        yield made


@dataclass
class Counted:
    """How many requests the server has answered this way since this was created."""

    server: Server

    def __post_init__(self) -> None:
        self._before = self._now()

    def since(self) -> Counter[str]:
        return self._now() - self._before

    def _now(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for labels, count in re.findall(
            r"^nugetproxy_requests_total{(.*)} (\S+)", self.server.get("/metrics").decode(), re.MULTILINE
        ):
            if "v2_" in labels or 'resource="health"' in labels or 'resource="metrics"' in labels:
                continue
            counted[labels.rpartition('status="')[2].rstrip('"')] += int(float(count))
        return counted


def both(workplace: Workplace) -> Path:
    return workplace.project("both", ("Contoso.Closed", "1.0.0"), ("Dapper", "2.0.78"), audit=False)


class TestNobodyReadsWithoutCredentials:
    def test_a_password(self, closed: Closed, tmp_path: Path, nuget_org: StandIn) -> None:
        """
        Each request is sent twice, without and with credentials; the upstream gets each only once.
        """
        workplace = closed.workplace(tmp_path, PASSWORD)
        counted = Counted(closed.server)
        nuget_org.forget()
        workplace.dotnet("restore", cwd=both(workplace)).must_succeed()

        assert (workplace.packages / "contoso.closed" / "1.0.0").is_dir()
        statuses = counted.since()
        assert set(statuses) == {"200", "401"}
        assert statuses["401"] == statuses["200"]
        assert all(count == 1 for path, count in nuget_org.requests().items() if "dapper" in path)
        assert all("authorization" not in {name.lower() for name in each["headers"]} for each in nuget_org.log())

    def test_a_key_as_password(self, closed: Closed, tmp_path: Path) -> None:
        """
        As in pipelines: any key is enough for reading, with any user name.
        """
        reader = closed.accounts.add_key("reader", "alice", scopes=["read"])
        workplace = closed.workplace(tmp_path, reader)
        workplace.dotnet("restore", cwd=both(workplace)).must_succeed()

        assert (workplace.packages / "contoso.closed" / "1.0.0").is_dir()

    def test_without_credentials(self, closed: Closed, tmp_path: Path, nuget_org: StandIn) -> None:
        workplace = closed.workplace(tmp_path, None)
        nuget_org.forget()
        failed = closed.server.metric("nugetproxy_logins_failed_total")
        output = workplace.dotnet("restore", cwd=both(workplace)).must_fail().output

        assert "NU1301" in output
        assert f"401 ({CREDENTIALS_NEEDED})" in output
        assert closed.server.metric("nugetproxy_logins_failed_total") == failed
        assert [path for path in nuget_org.requests() if "catalog0" not in path] == []

    def test_sdk_3_1(self, closed: Closed, tmp_path: Path) -> None:
        workplace = closed.workplace(tmp_path, PASSWORD)
        project = workplace.project("old", ("Contoso.Closed", "1.0.0"), frameworks="netcoreapp3.1")
        workplace.dotnet31("restore", cwd=project).must_succeed()

        assert (workplace.packages / "contoso.closed" / "1.0.0").is_dir()

    @pytest.mark.parametrize("protocol", ["v3", "v2"])
    def test_nuget_5(self, protocol: str, closed: Closed, tmp_path: Path) -> None:
        workplace = closed.workplace(tmp_path, None)
        url = closed.server.url if protocol == "v3" else f"{closed.server.base}/api/v2"
        workplace.configure({"here": Source(url, ("alice", PASSWORD))})
        workplace.nuget_exe(
            "install", "Contoso.Closed", "-OutputDirectory", "out", "-NonInteractive", "-Source", "here"
        ).must_succeed()

        assert (workplace.folder / "out" / "Contoso.Closed.1.0.0").is_dir()

    def test_push(self, closed: Closed, tmp_path: Path) -> None:
        """
        The index needs the credentials, the push the key.
        """
        workplace = closed.workplace(tmp_path, PASSWORD)
        file = workplace.folder / "Contoso.Late.1.0.0.nupkg"
        file.write_bytes(package("Contoso.Late"))
        pushed = workplace.dotnet("nuget", "push", str(file), "-s", "here", "-k", closed.key).must_succeed()

        assert "Your package was pushed." in pushed.output


class TestEverybodyReadsWhatIsMirrored:
    def test_public_packages_without_credentials(self, half: Closed, tmp_path: Path) -> None:
        workplace = half.workplace(tmp_path, None)
        counted = Counted(half.server)
        workplace.dotnet("restore", cwd=workplace.project("public", ("Dapper", "2.0.78"))).must_succeed()

        assert set(counted.since()) == {"200"}

    def test_private_packages_with_a_password(self, half: Closed, tmp_path: Path) -> None:
        workplace = half.workplace(tmp_path, PASSWORD)
        counted = Counted(half.server)
        workplace.dotnet("restore", cwd=both(workplace)).must_succeed()

        # The list and the package of ours.
        assert counted.since()["401"] == 2

    def test_anonymous_search_shows_only_mirrored_packages(self, half: Closed, tmp_path: Path) -> None:
        workplace = half.workplace(tmp_path, None)
        output = workplace.dotnet("package", "search", "dapper").must_succeed().output
        assert "Dapper" in output

        assert b"Contoso" not in half.server.get("/v3/query?q=closed")
