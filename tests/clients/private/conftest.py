"""A private feed over a stand-in for nuget.org, its accounts, and alice's key: each created once per module."""

from collections.abc import Iterator

import pytest

from tests.clients.deployment import serve
from tests.private import PROTECTING, Accounts
from tests.serving import Server
from tests.standin import StandIn


@pytest.fixture(scope="module")
def nuget_org() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, nuget_org: StandIn) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("private")
    with serve(folder / "data", upstream=nuget_org.url, config=PROTECTING) as running:
        yield running


@pytest.fixture(scope="module")
def server(private: Server) -> Server:
    return private


@pytest.fixture(scope="module")
def accounts(private: Server) -> Accounts:
    made = Accounts(private.data)
    made.add_user("alice")
    return made


@pytest.fixture(scope="module")
def key(accounts: Accounts) -> str:
    return accounts.add_key("ci", "alice")
