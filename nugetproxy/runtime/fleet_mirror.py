"""The mirror that the nodes of a fleet share, in the composition: the budget of its bucket, and last uses."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from nugetproxy.config import Config
from nugetproxy.feeds.protected import IsOurs
from nugetproxy.mirroring.care.asking import StillOffered
from nugetproxy.mirroring.care.bucket_budget import LOOK_SECONDS, BucketBudget
from nugetproxy.mirroring.care.bucket_uses import BucketUses
from nugetproxy.mirroring.kept.last_use import LastUse
from nugetproxy.runtime.background_jobs import run_until_closed
from nugetproxy.runtime.stores import Stores


def keep_bucket(
    stores: Stores,
    last_use: LastUse,
    upstreams: Mapping[str, StillOffered],
    is_ours: IsOurs,
    config: Config,
    stack: AsyncExitStack,
) -> None:
    """Run the jobs until `stack` ends them; nothing on a single machine. Offline nothing is removed from the bucket:
    nothing could be fetched again."""
    shared, for_all = stores.packages, stores.for_all
    if shared is None or for_all is None:
        return
    uses = BucketUses(shared.rows)
    last_use.also = uses.note
    stack.push_async_callback(uses.flush)
    run_until_closed(stack, uses.run())
    if config.mirroring.mode == "online":
        budget = BucketBudget(
            shared.rows, shared.bucket, shared.threads, upstreams, is_ours, budget=config.storage.shared.mirror_budget
        )
        run_until_closed(stack, for_all("mirror upkeep", budget.look, LOOK_SECONDS))
