"""`nugetproxy prewarm --include-symbols`: which PDBs it fetches, what it reports, and when it fails."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.site import Site
from tests.fakes.faults import Fault
from tests.fakes.upstream import FakeUpstream
from tests.flows.symbols import SERVER, Build, publish, publish_symbols, symbols_of

CORE, EXTRA, OTHER = Build("Contoso.Core"), Build("Contoso.Extra"), Build("Fabrikam.Other")
LIST = "Contoso.Core 1.0.0\nFabrikam.Other 1.0.0"
SIZE = len(CORE.pdb)


class SymbolSite(Site):
    """A site whose upstream has a symbol server that knows the PDB of Contoso.Core alone."""

    def __init__(self, folder: Path, upstream: FakeUpstream) -> None:
        super().__init__(folder, upstream)
        publish(upstream, "Contoso.Core", "1.0.0", CORE, EXTRA)
        publish(upstream, "Fabrikam.Other", "1.0.0", OTHER)
        publish_symbols(upstream, CORE)
        self.config = folder / "nugetproxy.toml"
        self.config.write_text(
            f'[[mirroring.upstream]]\nservice_index = "{upstream.url}"\nsymbols = "{symbols_of(upstream)["symbols"]}"\n'
        )

    async def symbols(self, *arguments: str, code: int = 0) -> Any:
        """The report."""
        return await self.report(LIST, "--config", str(self.config), *arguments, code=code)


@pytest.fixture
def site(upstream, tmp_path) -> SymbolSite:
    return SymbolSite(tmp_path, upstream)


def pdbs(site: Site) -> set[bytes]:
    return {path.read_bytes() for path in (site.data / "mirror").rglob("*.pdb")}


async def test_pdbs_are_fetched_and_counted(upstream, site):
    first = await site.symbols("--include-symbols")
    assert pdbs(site) == {CORE.pdb}
    missing = first["symbols"].pop("missing")
    assert first["symbols"] == {"wanted": 3, "kept_before": 0, "fetched": 1, "bytes_fetched": SIZE, "absent": 2}
    assert [(each["id"], each["file"]) for each in missing] == [
        ("Contoso.Core", "contoso.extra.pdb"),
        ("Fabrikam.Other", "fabrikam.other.pdb"),
    ]
    assert (first["complete"], first["problems"]) == (True, [])
    assert upstream.requests_for(f"{SERVER}/*") == 3
    second = await site.symbols("--include-symbols")
    assert second["symbols"]["kept_before"] == 1
    assert second["symbols"]["absent"] == 2
    assert upstream.requests_for(f"{SERVER}/*") == 3, "absences are remembered"


async def test_without_the_option_nobody_is_asked(upstream, site):
    report = await site.symbols()
    assert report["symbols"] is None
    assert upstream.requests_for(f"{SERVER}/*") == 0


async def test_required_symbols_are_missing(site):
    report = await site.symbols("--require-symbols", code=1)
    assert not report["complete"]
    assert [each["what"] for each in report["problems"]] == [
        "contoso.extra.pdb of Contoso.Core 1.0.0",
        "fabrikam.other.pdb of Fabrikam.Other 1.0.0",
    ]
    assert report["problems"][0]["wanted_by"]


async def test_a_failure_is_a_problem_that_a_second_run_solves(upstream, site):
    upstream.fault(f"{SERVER}/contoso.core.pdb/*", Fault(status=403), times=1)
    first = await site.symbols("--include-symbols", code=1)
    [problem] = first["problems"]
    assert problem["what"] == "contoso.core.pdb of Contoso.Core 1.0.0"
    assert "403" in problem["why"]
    second = await site.symbols("--include-symbols")
    assert second["symbols"]["fetched"] == 1


async def test_max_bytes_counts_them(upstream, site):
    publish_symbols(upstream, EXTRA, OTHER)
    await site.symbols()
    report = await site.symbols("--include-symbols", "--max-bytes", str(SIZE), "--parallel", "1", code=1)
    assert report["symbols"]["fetched"] == 1
    assert {each["why"] for each in report["problems"]} == {"it would exceed --max-bytes"}


async def test_what_if_shows_numbers(upstream, site):
    before = await site.symbols("--include-symbols", "--what-if")
    assert before["symbols"] == {"kept": 0, "to_fetch": 0, "packages_unknown": 2}
    await site.symbols()
    after = await site.symbols("--include-symbols", "--what-if")
    assert after["symbols"] == {"kept": 0, "to_fetch": 3, "packages_unknown": 0}
    assert upstream.requests_for(f"{SERVER}/*") == 0


async def test_text_says_what_is_absent(site):
    ended = await site.run(LIST, "--config", str(site.config), "--include-symbols")
    assert "Symbols: 3 PDBs (0 kept before, 1 fetched, 0.0 MB; the symbol server lacks 2)." in ended.stdout


async def test_an_upstream_without_symbol_server_is_a_usage_error(site):
    ended = await site.run(LIST, "--include-symbols")
    assert ended.exit_code == 2
    assert "no upstream has a symbol server" in ended.stderr
