"""Some rounds on a fleet of three nodes; `scripts/soak --fleet` runs many."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.engines.postgres import PostgresServer
from tests.soak.fleet.nodes import QUICK, Engines, add_node, fleet
from tests.soak.fleet.run import OUTAGES, Rounds

ROUNDS = 20


@pytest.mark.timeout(300)
async def test_rounds_find_nothing_but_a_node_that_is_deaf(
    tmp_path: Path, postgres: PostgresServer, shared_database: str, bucket: BucketAddress
) -> None:
    """
    In the end a node takes part that confirms changes without having noticed them.
    """
    engines = Engines(postgres, postgres.dsn(shared_database), bucket)
    async with fleet(tmp_path, engines, OUTAGES) as three, AsyncExitStack() as stack:
        rounds = Rounds(three, seed=1, seconds=0.6)
        await rounds.run(range(ROUNDS))
        await rounds.look_back()
        assert rounds.findings == []
        assert rounds.counts["looked back at"] > ROUNDS
        assert rounds.counts["acknowledged: push"] > ROUNDS
        assert rounds.counts["kills"] >= 1

        deaf = add_node(tmp_path, engines, "deaf", 0.0, QUICK, stack, fault="deaf")
        stack.callback(deaf.end)
        three.nodes.pop().end()
        await deaf.start()
        three.nodes.append(deaf)
        broken = Rounds(three, seed=2, only="nothing")
        await broken.run(range(2))
        assert "no order explains" in "".join(broken.findings)
