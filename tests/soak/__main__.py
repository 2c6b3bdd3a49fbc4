"""`scripts/soak`: mixed work against one real server with two workers, between clients and a faulty upstream; or, with
`--fleet`, rounds of work on three nodes with shared storage.

scripts/soak --minutes 10 --seed 7
scripts/soak --fleet --rounds 1000
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.fleet.run import soak as soak_fleet
from tests.soak.run import Soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Mixed work against one real server.")
    parser.add_argument("--minutes", type=float, default=10.0, help="(%(default)s)")
    parser.add_argument("--seed", type=int, help="for the same decisions again (default: another one each time)")
    parser.add_argument("--no-kills", action="store_true", help="never kill -9 a worker")
    parser.add_argument("--folder", type=Path, help="where to keep the data and the log (default: a temporary one)")
    parser.add_argument("--fleet", action="store_true", help="three nodes with shared storage instead, in rounds")
    parser.add_argument("--rounds", type=int, default=1000, help="of a fleet (%(default)s)")
    parser.add_argument("--only", default="", metavar="TROUBLE", help="the trouble of each round of a fleet: kill")
    given = parser.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if given.fleet:
            return asyncio.run(soak_fleet(folder, seed, given.rounds, only=given.only))
        began = time.monotonic()
        soak = Soak(folder, seed, given.minutes * 60, may_kill=not given.no_kills)
        asyncio.run(soak.run())
        for name, count in sorted(soak.truth.counts.items()):
            print(f"{count:8} {name}")
        print(f"{len(soak.truth.findings)} findings in {time.monotonic() - began:.0f} s, seed {seed}")
    return 1 if soak.truth.findings else 0


if __name__ == "__main__":
    sys.exit(main())
