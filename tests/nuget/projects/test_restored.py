"""Projects are read as a real restore reads them: compared with facts recorded from the .NET SDK."""

import json
from pathlib import Path

import pytest

from nugetproxy.nuget.closure.sdk_facts import shipped_facts
from nugetproxy.nuget.projects.sources import Options, Sources, read_sources
from tests.nuget.projects.cases import CASES
from tests.nuget.projects.facts import RECORDED, facts_of, write_cases

_FACTS = json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


@pytest.fixture(scope="module")
def sources(root: Path) -> Sources:
    return read_sources([root], Options(sdk=shipped_facts("10.0.401")))


@pytest.mark.parametrize("case", CASES)
def test_a_project_is_read_as_restore_reads_it(case, root, sources):
    read = {str(Path(path).relative_to(root)): facts_of(project, root) for path, project in sources.projects.items()}
    paths = [path for path in _FACTS if path.startswith(f"{case}/")]

    assert paths
    for path in paths:
        real = set(_FACTS[path])
        assert not real ^ read[path], f"only restore: {sorted(real - read[path])}; only we: {sorted(read[path] - real)}"


def test_every_project_is_a_root(root, sources):
    assert set(sources.roots) == set(sources.projects)
    assert len(sources.roots) == len(_FACTS)
