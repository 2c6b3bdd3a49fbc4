"""`python -m benchmarks WHAT`: measure and print a table."""

import argparse

from benchmarks import (
    eviction,
    fleet,
    foreseen,
    freshness,
    hostile,
    importing,
    lane,
    mixed,
    proxies,
    pushes,
    reading,
    restore,
    search,
    tail,
    v2,
)
from benchmarks.day import measure as day
from benchmarks.day.world import World
from benchmarks.processes import OURS


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Side by side, in one run, as ratios.")
    what = parser.add_subparsers(dest="what", required=True)
    alone = what.add_parser("lane", help="hot answers against nginx; needs no upstream")
    alone.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    whole = what.add_parser("proxies", help="the whole server against nginx proxy_cache")
    for command in (alone, whole):
        command.add_argument("--rounds", type=int, default=5)
        command.add_argument("--seconds", type=int, default=2, help="of load, each round and server")
        command.add_argument("--connections", type=int, default=32)
        command.add_argument("--only", default="", help="answers whose name contains this text")
    rest = what.add_parser("tail", help="packages stored but not hot, in random order, against nginx proxy_cache")
    rest.add_argument("--rounds", type=int, default=3)
    rest.add_argument("--seconds", type=int, default=4, help="of load, each round and server")
    rest.add_argument("--connections", type=int, default=32)
    whole_day = what.add_parser("day", help="a company's traffic over 100,000 packages, against nginx proxy_cache")
    whole_day.add_argument("--rounds", type=int, default=3)
    whole_day.add_argument("--seconds", type=int, default=10, help="of load, each round and server")
    whole_day.add_argument("--workers", type=int, default=1)
    whole_day.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto")
    whole_day.add_argument("--tls", action="store_true", help="both servers speak TLS")
    whole_day.add_argument("--cold", action="store_true", help="empty the page cache before each round")
    whole_day.add_argument("--small", action="store_true", help="a hundredth of it, to try the benchmark")
    followed = what.add_parser("freshness", help="upstream requests with and without following the catalog")
    followed.add_argument("--restores", type=int, default=150, help="an hour")
    followed.add_argument("--hours", type=int, default=4, help="that are measured")
    followed.add_argument("--by-popularity", action="store_true", help="ids that are requested more also change more")
    evicting = what.add_parser("eviction", help="restores beside the eviction of 100,000 packages, against without")
    evicting.add_argument("--packages", type=int, default=100_000)
    evicting.add_argument("--rounds", type=int, default=5)
    evicting.add_argument("--seconds", type=int, default=5, help="of load, each round and server")
    evicting.add_argument("--rate", type=int, default=eviction.RATE, help="requests a second")
    arriving = what.add_parser("import", help="a bundle of small packages, against as many synced files")
    arriving.add_argument("--packages", type=int, default=10_000)
    arriving.add_argument("--rounds", type=int, default=3)
    crowd = what.add_parser("stampede", help="200 simultaneous clients request one cold package of 20 MB")
    client = what.add_parser("restore", help="a real `dotnet restore` from six kinds of sources")
    client.add_argument("--rounds", type=int, default=3)
    client.add_argument("--foresight", action="store_true", help="only cold, with and without foresight")
    finding = what.add_parser("search", help="search and pushes over very many hosted versions")
    finding.add_argument("--ids", type=int, default=5000)
    finding.add_argument("--versions", type=int, default=20, help="of each id")
    finding.add_argument("--rounds", type=int, default=100, help="how often each query is run")
    finding.add_argument("--pushes", type=int, default=50)
    finding.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    pushing = what.add_parser("pushes", help="pushes into a large private feed against synced files")
    pushing.add_argument("--pushes", type=int, default=100, help="of each kind, each round")
    listing = what.add_parser("v2", help="V2 lists and registrations of hosted ids, hot and not, against nginx")
    listing.add_argument("--seconds", type=int, default=2, help="of load, each round and server")
    listing.add_argument("--connections", type=int, default=32)
    who = what.add_parser("reading", help="reading with credentials against reading without, on a private feed")
    who.add_argument("--seconds", type=int, default=2, help="of load, each round and server")
    who.add_argument("--connections", type=int, default=32)
    who.add_argument("--rounds", type=int, default=5)
    mixing = what.add_parser("mixed", help="95 %% reads and 5 %% pushes on a large private feed")
    mixing.add_argument("--requests", type=int, default=500, help="of each of eight clients, each round")
    against = what.add_parser("hostile", help="16 clients with expensive requests beside ordinary ones")
    against.add_argument("--seconds", type=int, default=20, help="before and during each attack")
    against.add_argument("--only", default="", help="only attacks with this text in their name")
    nodes = what.add_parser("fleet", help="nodes over PostgreSQL and a bucket against one embedded worker")
    nodes.add_argument("--rounds", type=int, default=5)
    nodes.add_argument("--seconds", type=int, default=2, help="of load, each round and feed")
    nodes.add_argument("--connections", type=int, default=30)
    nodes.add_argument("--pushes", type=int, default=40, help="each round and feed")
    nodes.add_argument("--only", default="", choices=("", *fleet.PARTS))
    for command in (pushing, listing, mixing):
        command.add_argument("--ids", type=int, default=5000)
        command.add_argument("--versions", type=int, default=20, help="of each id")
        command.add_argument("--rounds", type=int, default=3)
    for command in (whole, rest, whole_day, crowd, client):
        command.add_argument("--command", default=OURS, help="the command that starts nugetproxy; options are appended")
    asked = parser.parse_args()
    match asked.what:
        case "lane":
            options = {"rounds": asked.rounds, "seconds": asked.seconds, "connections": asked.connections}
            print(lane.measure(**options, loop=asked.loop, only=asked.only))
        case "proxies":
            options = {"rounds": asked.rounds, "seconds": asked.seconds, "connections": asked.connections}
            print(proxies.measure(**options, command=asked.command, only=asked.only))
        case "tail":
            options = {"rounds": asked.rounds, "seconds": asked.seconds, "connections": asked.connections}
            print(tail.measure(**options, command=asked.command))
        case "day":
            world = World(200, 1000, 100) if asked.small else World()
            options = {"rounds": asked.rounds, "seconds": asked.seconds, "workers": asked.workers}
            how = {"loop": asked.loop, "is_tls": asked.tls, "is_cold": asked.cold, "command": asked.command}
            print(day.measure(world=world, **options, **how))
        case "freshness":
            print(freshness.measure(restores=asked.restores, hours=asked.hours, by_popularity=asked.by_popularity))
        case "eviction":
            options = {"packages": asked.packages, "rounds": asked.rounds, "seconds": asked.seconds}
            print(eviction.measure(**options, rate=asked.rate))
        case "import":
            print(importing.measure(packages=asked.packages, rounds=asked.rounds))
        case "stampede":
            print(proxies.stampede(command=asked.command))
        case "restore":
            if not asked.foresight:
                print(restore.measure(rounds=asked.rounds, command=asked.command))
            print(foreseen.measure(rounds=asked.rounds, command=asked.command))
        case "search":
            options = {"ids": asked.ids, "versions": asked.versions, "rounds": asked.rounds}
            print(search.measure(**options, pushes=asked.pushes, database=asked.database))
        case "pushes":
            options = {"ids": asked.ids, "versions": asked.versions, "rounds": asked.rounds}
            print(pushes.measure(**options, pushes=asked.pushes))
        case "v2":
            options = {"ids": asked.ids, "versions": asked.versions, "rounds": asked.rounds}
            print(v2.measure(**options, seconds=asked.seconds, connections=asked.connections))
        case "reading":
            print(reading.measure(rounds=asked.rounds, seconds=asked.seconds, connections=asked.connections))
        case "fleet":
            options = {"rounds": asked.rounds, "seconds": asked.seconds, "connections": asked.connections}
            print(fleet.measure(**options, pushes=asked.pushes, only=asked.only))
        case "hostile":
            print(hostile.measure(seconds=asked.seconds, only=asked.only))
        case "mixed":
            options = {"ids": asked.ids, "versions": asked.versions, "rounds": asked.rounds}
            print(mixed.measure(**options, requests=asked.requests))


if __name__ == "__main__":
    main()
