"""Documents of nuget.org: a few trimmed ones kept here, and all that the shared stand-in for nuget.org generates."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.protocol.links import Links
from tests.shared import shared

_PROJECT = Path(__file__).parents[2]
_KEPT = _PROJECT / "tests" / "data" / "nuget_org"


@pytest.fixture(scope="session")
def links() -> Links:
    return Links("https://ours.example/nuget")


@pytest.fixture(scope="session")
def kept():
    """The bytes of a document in tests/data/nuget_org, by name without suffix."""
    return lambda name: (_KEPT / f"{name}.json").read_bytes()


@pytest.fixture(scope="session")
def nuget_org(tmp_path_factory) -> Any:
    """The stand-in's feed object: it generates documents without a socket."""
    source = shared() / "nuget-org" / "nuget_org.py"
    spec = importlib.util.spec_from_file_location("nuget_org_stand_in", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scratch = tmp_path_factory.mktemp("stand-in")
    return module.NuGetOrg([source.parent / "packages"], "https://up.example", "https://search.up.example", scratch)
