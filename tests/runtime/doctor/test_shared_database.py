"""What the doctor finds in the database of a fleet, from a machine whose own data directory is empty."""

from pathlib import Path

from nugetproxy.config import Config
from nugetproxy.runtime.doctor.facts import Databases
from nugetproxy.runtime.doctor.gathering import database_facts
from tests.engines.postgres import PostgresServer


def shared(folder: Path, dsn: str) -> Config:
    (folder / "dsn").write_text(dsn)
    settings = {"dsn_file": str(folder / "dsn"), "bucket": "unused"}
    return Config.model_validate({"storage": {"kind": "shared", "shared": settings, "path": str(folder)}})


async def test_the_accounts_of_the_fleet_are_found(
    postgres: PostgresServer, shared_database: str, tmp_path: Path
) -> None:
    config = shared(tmp_path, postgres.dsn(shared_database))
    assert await database_facts(tmp_path / "absent", config) == Databases(is_empty=True)
    postgres.execute(
        "INSERT INTO accounts (name, lower_name, kind, created) VALUES ('alice', 'alice', 'user', 1)", shared_database
    )
    assert await database_facts(tmp_path / "absent", config) == Databases(is_empty=False)


async def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    found = await database_facts(tmp_path, shared(tmp_path, "postgresql://nobody@127.0.0.1:1/none"))
    assert "PostgreSQL" in found.why
