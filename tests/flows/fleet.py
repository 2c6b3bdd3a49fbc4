"""Nodes of a fleet in this process, with data directories of their own, over a real PostgreSQL and a real bucket."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

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
    async def node(self, name: str, dsn: str = "", endpoint: str = "", outage: str = "2m") -> AsyncIterator[House]:
        """One node without accounts of its own."""
        file = self.place / f"{name}.dsn"
        file.write_text((dsn or self.postgres.dsn(self.database)) + "\n")
        bucket = self.bucket
        storage = {
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
        place, settings = self.place / name, self.upstream_settings
        async with unfurnished(place, self.upstream, upstream_settings=settings, storage=storage) as house:
            yield house
