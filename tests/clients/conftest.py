"""A stand-in for nuget.org, a server in front of it, and a workplace for the clients."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.deployment import IS_FLEET, engines_of_the_fleet, serve
from tests.clients.kit import Workplace
from tests.fleet_serving import Engines
from tests.serving import Server
from tests.standin import StandIn


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked for the other deployment."""
    other = "not_in_fleet" if IS_FLEET else "only_in_fleet"
    left_out = [item for item in items if item.get_closest_marker(other) is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker(other) is None]


@pytest.fixture(scope="session", autouse=True)
def engines(request: pytest.FixtureRequest) -> Iterator[Engines | None]:
    """PostgreSQL and the bucket, if a fleet is to be tested."""
    if not IS_FLEET:
        yield None
        return
    made = Engines(*(request.getfixturevalue(name) for name in ("postgres", "migrated_template", "seaweedfs")))
    with engines_of_the_fleet(made):
        yield made


@pytest.fixture(autouse=True)
def parts_of_the_engines(engines: Engines | None) -> Iterator[None]:
    """Removes the tables of the servers of a test, after they have stopped."""
    kept = engines.known() if engines else frozenset()
    yield
    if engines:
        for data in engines.known() - kept:
            engines.forget(data)


@pytest.fixture
def nuget_org() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def server(tmp_path: Path, nuget_org: StandIn) -> Iterator[Server]:
    with serve(tmp_path / "data", upstream=nuget_org.url) as running:
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
