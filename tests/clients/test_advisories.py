"""Advisories of our own, for pushed and for mirrored packages, as the .NET SDK 10 shows them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.private import Accounts, package, push
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

OSV = {
    "schema_version": "1.6.0",
    "id": "CONTOSO-2026-1",
    "modified": "2026-02-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "NuGet", "name": "Contoso.Utils"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
        },
        {"package": {"ecosystem": "NuGet", "name": "Dapper"}, "versions": ["2.1.66"]},
    ],
    "database_specific": {"severity": "CRITICAL"},
    "references": [{"type": "ADVISORY", "url": "https://contoso.example/CONTOSO-2026-1"}],
}


@pytest.fixture
def server(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    folder = tmp_path / "advisories"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(OSV))
    settings = f'[feed]\nprotected_prefixes = ["Contoso."]\nadvisories = "{folder}"\n'
    with serve(tmp_path / "data", upstream=nuget_org.url, config=settings) as running:
        yield running


def test_restore_warns_and_list_package_shows_them(workplace: Workplace, server: Server) -> None:
    accounts = Accounts(server.data)
    accounts.add_user("alice")
    push(server, accounts.add_key("ci", "alice"), package("Contoso.Utils", "1.0.0"), package("Contoso.Utils", "2.0.0"))
    affected = workplace.project("affected", ("Contoso.Utils", "1.0.0"), ("Dapper", "2.1.66"))
    fixed = workplace.project("fixed", ("Contoso.Utils", "2.0.0"))

    warned = workplace.dotnet("restore", cwd=affected).must_succeed().output
    for name in ("Contoso.Utils' 1.0.0", "Dapper' 2.1.66"):
        assert f"NU1904: Package '{name} has a known critical severity vulnerability" in warned
    assert "https://contoso.example/CONTOSO-2026-1" in warned
    listed = workplace.dotnet("list", "package", "--vulnerable", cwd=affected).must_succeed().output
    shown = [line.split() for line in listed.splitlines() if line.lstrip().startswith("> ")]
    assert [(row[1], row[-2], row[-1]) for row in shown] == [
        ("Contoso.Utils", "Critical", "https://contoso.example/CONTOSO-2026-1"),
        ("Dapper", "Critical", "https://contoso.example/CONTOSO-2026-1"),
    ]
    assert "NU190" not in workplace.dotnet("restore", cwd=fixed).must_succeed().output
