"""Projects made from a seed are read as the SDK reads them. Set NUGETPROXY_SEED for other projects."""

import json
import os
from pathlib import Path

import pytest

from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.projects.sources import Options, read_sources
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Workplace
from tests.clients.test_projects import theirs
from tests.nuget.projects.facts import facts_of
from tests.nuget.projects.made import Maker

pytestmark = [pytest.mark.clients, not_in_fleet("needs no server")]

_SEED = int(os.environ.get("NUGETPROXY_SEED", "11"))
_COUNT = 60


def test_projects_of_a_seed(tmp_path):
    root, out = tmp_path / "made", tmp_path / "graph.json"
    maker = Maker(_SEED)
    paths = [maker.write(root / str(number)) for number in range(_COUNT)]
    listed = "".join(
        f'<Folder Name="/{number}/"><Project Path="{path.relative_to(tmp_path)}" /></Folder>'
        for number, path in enumerate(paths)
    )
    (tmp_path / "all.slnx").write_text(f"<Solution>{listed}</Solution>")
    Workplace(tmp_path / "work", "http://127.0.0.1:1/v3/index.json").dotnet(
        "msbuild", str(tmp_path / "all.slnx"), "-t:GenerateRestoreGraphFile", f"-p:RestoreGraphOutputPath={out}"
    ).must_succeed()
    graph = json.loads(out.read_text())["projects"]

    sources = read_sources([root], Options(sdk=shipped_facts("10.0.401")))

    assert len(graph) == len(sources.projects) == _COUNT
    assert sources.unsure == ()
    for path, spec in graph.items():
        real = theirs(spec, root)
        # Without a version anywhere, restore writes "any"; here it is left open.
        read = {fact.replace(" None ", " (, ) ") for fact in facts_of(sources.projects[path], root)}
        assert not real ^ read, f"{Path(path).relative_to(root)}: only restore {real - read}; only we {read - real}"
