"""Nodes of a fleet in this process, with data directories of their own, over a real PostgreSQL and a real bucket."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.engines.postgres import PostgresServer
from tests.fakes.upstream import FakeUpstream
from tests.flows.private_feed import House, furnished, unfurnished


class Fleet:
    """Its engines, and where its nodes are; `opened` starts them."""

    def __init__(
        self, place: Path, upstream: FakeUpstream, postgres: PostgresServer, database: str, bucket: BucketAddress
    ) -> None:
        self.place = place
        self.upstream = upstream
        self.postgres = postgres
        self.database = database
        self.bucket = bucket
        self.upstream_settings: dict[str, str] = {}

    @asynccontextmanager
    async def opened(
        self, *names: str, dsn: str = "", endpoint: str = "", outage: str = "2m"
    ) -> AsyncIterator[list[House]]:
        """Running nodes, the first of which has accounts. `dsn` and `endpoint` may lead through a faulty proxy."""
        async with AsyncExitStack() as stack:
            houses = [await stack.enter_async_context(self.node(name, dsn, endpoint, outage)) for name in names]
            await furnished(houses[0])
            for house in houses[1:]:
                house.key = houses[0].key
            yield houses

    @asynccontextmanager
    async def node(
        self, name: str, dsn: str = "", endpoint: str = "", outage: str = "2m", **sections: Any
    ) -> AsyncIterator[House]:
        """One node without accounts of its own."""
        place, settings = self.place / name, self.upstream_settings
        sections["storage"] = self._storage(name, dsn, endpoint, outage)
        async with unfurnished(place, self.upstream, upstream_settings=settings, **sections) as house:
            yield house

    def settings(self, name: str) -> str:
        """The settings file of a node, for commands."""
        storage = self._storage(name)
        lines = [f'{key} = "{value}"' for key, value in storage["shared"].items()]
        file = self.place / f"{name}.toml"
        file.write_text(
            f'[storage]\nkind = "shared"\npath = "{self.place / name}"\n[storage.shared]\n' + "\n".join(lines)
        )
        return str(file)

    def _storage(self, name: str, dsn: str = "", endpoint: str = "", outage: str = "2m") -> dict[str, Any]:
        file = self.place / f"{name}.dsn"
        file.write_text((dsn or self.postgres.dsn(self.database)) + "\n")
        bucket = self.bucket
        return {
            "kind": "shared",
            "shared": {
                "dsn_file": str(file),
                "bucket": bucket.bucket,
                "endpoint": endpoint or bucket.endpoint,
                "region": bucket.region,
                "prefix": bucket.prefix,
                "access_key_file": bucket.access_key_file,
                "secret_key_file": bucket.secret_key_file,
                "outage": outage,
            },
        }
