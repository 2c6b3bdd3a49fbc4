"""A stand-in for nuget.org, a server in front of it, and a workplace for the clients."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.kit import Workplace
from tests.serving import Server
from tests.standin import StandIn


@pytest.fixture
def nuget_org() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def server(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    with Server(tmp_path / "data", upstream=nuget_org.url) as running:
        yield running


@pytest.fixture
def workplace(tmp_path: Path, server: Server) -> Workplace:
    return Workplace(tmp_path / "work", server.url)


@pytest.fixture
def restore(workplace: Workplace) -> Callable[..., str]:
    """Restore one of the real graphs from nothing and return what dotnet said."""

    def run(graph: str, *arguments: str) -> str:
        workplace.forget()
        return workplace.dotnet("restore", *arguments, cwd=workplace.graph(graph)).must_succeed().output

    return run
