"""A stand-in for nuget.org, a server in front of it, and a workplace for the clients.

A private feed, its accounts and alice's key are made once for a module; such a module has a `nuget_org` of its own that
lives as long.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.kit import Workplace
from tests.private import PROTECTING, Accounts
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


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("private")
    with Server(folder / "data", upstream=nuget_org.url, config=PROTECTING) as running:
        yield running


@pytest.fixture(scope="module")
def accounts(private: Server) -> Accounts:
    made = Accounts(private.data)
    made.add_user("alice")
    return made


@pytest.fixture(scope="module")
def key(accounts: Accounts) -> str:
    return accounts.add_key("ci", "alice")


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
