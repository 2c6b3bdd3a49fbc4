"""Nodes of a fleet against one embedded worker: hot and kept reads, pushes, a cold restore, in one run.

All servers share one core, and PostgreSQL, the bucket, the stand-in and the clients the other one: so the ratios show
what the nodes cost, and the engines' time is listed apart. Queries, requests and syncs are counted, which no other load
on the machine changes.
"""

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import fleet_confirming, fleet_sizes
from benchmarks.fleet_engines import EMBEDDED, Engines, Feed, Node, counting_syncs, engines
from benchmarks.load import Server, wrk
from benchmarks.mixture import Wanted, closed_loop, write_mixture
from benchmarks.private import Request, asked, package, shown, spread
from benchmarks.processes import busy_seconds, control, family, shared, standing_in

HOT_AT_LEAST: Final = 0.95
KEPT_AT_LEAST: Final = 0.8
PUSH_AT_MOST: Final = 2.0
PARTS: Final = ("hot", "kept", "push", "cold", "confirm", "sizes")

_SIZES: Final = (1, 2, 3)
_IDS: Final = 40
_CROWD: Final = 8
_COUNTED: Final = 200
_COUNTED_PUSHES: Final = 20
# Nothing is hot: each answer is looked up and read from the disk.
_NOT_HOT: Final = {"NUGETPROXY_SERVER__HOT_MEMORY": "0", "NUGETPROXY_SERVER__HOT_DISK": "0"}
_LONG: Final = {
    f"NUGETPROXY_MIRRORING__FRESHNESS__{kind}__FRESH": "1h"
    for kind in ("VERSIONS", "REGISTRATION", "REGISTRATION_PAGE", "SERVICE_INDEX")
}


def measure(*, rounds: int, seconds: int, connections: int, pushes: int, only: str = "") -> str:
    """Tables, as Markdown. `only`: one of PARTS."""
    parts: Mapping[str, Callable[[Engines, Path, str], str]] = {
        "hot": lambda all_of, folder, upstream: _hot(all_of, folder, upstream, rounds, seconds, connections),
        "kept": lambda all_of, folder, upstream: _kept(all_of, folder, upstream, rounds, seconds, connections),
        "push": lambda all_of, folder, upstream: _push(all_of, folder, upstream, rounds, pushes),
        "cold": lambda all_of, folder, upstream: _cold(all_of, upstream),
        "confirm": lambda all_of, folder, upstream: fleet_confirming.measure(all_of),
        "sizes": lambda all_of, folder, upstream: fleet_sizes.measure(all_of, upstream, _restore()),
    }
    with (
        tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as made,
        standing_in(Path(made)) as upstream,
        engines(Path(made)) as all_of,
    ):
        return "\n\n".join(part(all_of, Path(made), upstream) for name, part in parts.items() if only in ("", name))


@contextmanager
def _feeds(all_of: Engines, upstream: str, environment: Mapping[str, str]) -> Iterator[list[Feed]]:
    """An embedded worker and a fleet of each size, with the same packages of 300 KB."""
    with ExitStack() as stack:
        sizes = {EMBEDDED: 0, **{f"{size} node{'s' * (size > 1)}": size for size in _SIZES}}
        feeds = [stack.enter_context(all_of.feed(name, size, upstream, environment)) for name, size in sizes.items()]
        packages = [package(_id(number), "1.0.0") for number in range(_IDS)]
        for feed in feeds:
            plan = [Request("", "/api/v2/package", "PUT", each, 201) for each in packages]
            asked(feed.nodes[0].base, [plan], feed.key)
        yield feeds


def _id(number: int) -> str:
    return f"Contoso.Part{number:03}"


# --- reads ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Requests per second; processor microseconds of the servers and of the engines for each of them."""

    rate: float
    cpu: float
    engines: float
    others: float


@dataclass
class _Row:
    what: str
    runs: dict[str, list[_Run]] = field(default_factory=dict)
    queries: dict[str, float] = field(default_factory=dict)
    bucket: dict[str, float] = field(default_factory=dict)


Load = Callable[[Node, int], float]
"""Requests per second of one node under so many connections."""


def _hot(all_of: Engines, folder: Path, upstream: str, rounds: int, seconds: int, connections: int) -> str:
    contents = "/v3/flatcontainer/{0}/1.0.0/{0}.1.0.0.nupkg"
    targets = {
        "versions list, hosted": f"/v3/flatcontainer/{_id(0).lower()}/index.json",
        "registration, hosted": f"/v3/registration-gz-semver2/{_id(0).lower()}/index.json",
        "package of 300 KB, hosted": contents.format(_id(0).lower()),
        "registration, mirrored": "/v3/registration-gz-semver2/newtonsoft.json/index.json",
    }
    rows = []
    with _feeds(all_of, upstream, _LONG) as feeds:
        for what, target in targets.items():

            def load(node: Node, share: int, target: str = target) -> float:
                return wrk(Server(node.base + target, node.pid), seconds, share)[0]

            rows.append(_read(what, all_of, feeds, load, [target], rounds, seconds, connections))
    return _table("hot", rows, HOT_AT_LEAST)


def _kept(all_of: Engines, folder: Path, upstream: str, rounds: int, seconds: int, connections: int) -> str:
    hosted = [_id(number).lower() for number in range(_IDS)]
    mirrored = [(each["id"], each["version"]) for each in _graph()]
    mixtures = {
        "packages of 300 KB, hosted": [f"/v3/flatcontainer/{each}/1.0.0/{each}.1.0.0.nupkg" for each in hosted],
        "documents, hosted": [
            target
            for each in hosted
            for target in (
                f"/v3/flatcontainer/{each}/index.json",
                f"/v3/registration-gz-semver2/{each}/index.json",
            )
        ],
        "packages, mirrored": [f"/v3/flatcontainer/{id_}/{version}/{id_}.{version}.nupkg" for id_, version in mirrored],
        "documents, mirrored": [
            target
            for id_, _ in mirrored
            for target in (f"/v3/flatcontainer/{id_}/index.json", f"/v3/registration-gz-semver2/{id_}/index.json")
        ],
    }
    rows = []
    with _feeds(all_of, upstream, _LONG | _NOT_HOT) as feeds:
        for what, targets in mixtures.items():
            mixture = write_mixture([Wanted(target) for target in targets], folder / f"{what.replace(' ', '-')}.txt")

            def load(node: Node, share: int, mixture: Path = mixture) -> float:
                return closed_loop(node.base, node.pid, mixture, seconds=seconds, connections=share).rate

            rows.append(_read(what, all_of, feeds, load, targets, rounds, seconds, connections))
    return _table("kept", rows, KEPT_AT_LEAST)


def _read(
    what: str,
    all_of: Engines,
    feeds: Sequence[Feed],
    load: Load,
    targets: Sequence[str],
    rounds: int,
    seconds: int,
    connections: int,
) -> _Row:
    row = _Row(what, {feed.name: [] for feed in feeds})
    # As clients ask, over connections that stay open: that decides how it is answered.
    plan = [Request("", target) for target in targets]
    for feed in feeds:  # everything is on every node's disk, and hot where it may be
        for node in feed.nodes:
            asked(node.base, [plan * 3])
    for number in range(rounds):
        for feed in feeds if number % 2 == 0 else reversed(feeds):
            row.runs[feed.name].append(_run(all_of, feed, load, seconds, connections))
    before = {feed.name: sum(feed.bucket_requests().values()) for feed in feeds}
    with all_of.counting() as counted:
        for feed in feeds:
            counted_plan = [plan[number % len(plan)] for number in range(_COUNTED)]
            asked([node.base for node in feed.nodes], [counted_plan[client::_CROWD] for client in range(_CROWD)])
    for feed in feeds:
        row.queries[feed.name] = counted.get(feed.database, Counter())["queries"] / _COUNTED
        row.bucket[feed.name] = (sum(feed.bucket_requests().values()) - before[feed.name]) / _COUNTED
    return row


def _run(all_of: Engines, feed: Feed, load: Load, seconds: int, connections: int) -> _Run:
    ours, theirs, busy = feed.cpu_seconds(), sum(all_of.cpu_seconds()), busy_seconds()
    with ThreadPoolExecutor(len(feed.nodes)) as threads:
        rate = sum(threads.map(lambda node: load(node, connections // len(feed.nodes)), feed.nodes))
    ours, theirs = feed.cpu_seconds() - ours, sum(all_of.cpu_seconds()) - theirs
    requests = max(1.0, rate * seconds)
    return _Run(rate, ours / requests * 1e6, theirs / requests * 1e6, (busy_seconds() - busy) / seconds)


def _table(kind: str, rows: Sequence[_Row], target: float) -> str:
    lines = [
        f"**{kind.title()}** (target: {target:g} of embedded)",
        "",
        "| answer | nodes | req/s | of embedded | rounds | CPU µs, servers | engines | queries | bucket requests |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        base = row.runs[EMBEDDED]
        for name, runs in row.runs.items():
            ratios = sorted(run.rate / other.rate for run, other in zip(runs, base, strict=True))
            ratio = f"**{statistics.median(ratios):.2f}** | {ratios[0]:.2f} - {ratios[-1]:.2f}"
            cells = "| | |" if name == EMBEDDED else f"| {ratio} |"
            lines.append(
                f"| {row.what} | {name} | {_median(runs, 'rate'):,.0f} {cells} {_median(runs, 'cpu'):,.0f} "
                f"| {_median(runs, 'engines'):,.0f} | {row.queries[name]:.2f} | {row.bucket[name]:.2f} |"
            )
    return "\n".join(lines)


def _median(runs: Sequence[_Run], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


# --- pushes -----------------------------------------------------------------------------------------------------------


def _push(all_of: Engines, folder: Path, upstream: str, rounds: int, pushes: int) -> str:
    times: dict[tuple[str, str], list[float]] = {}
    rates: dict[tuple[str, str], list[float]] = {}
    versions = iter(range(1, 1_000_000))
    with _feeds(all_of, upstream, _LONG) as feeds:
        for number in range(rounds):
            for clients in (1, _CROWD):
                what = "one client" if clients == 1 else f"{clients} clients"
                version = f"2.{next(versions)}.0"
                for feed in feeds if number % 2 == 0 else reversed(feeds):
                    bases = [node.base for node in feed.nodes]
                    found, lasted = asked(bases, _plans(version, clients, pushes), feed.key)
                    times.setdefault((what, feed.name), []).extend(seconds for _, seconds in found)
                    rates.setdefault((what, feed.name), []).append(len(found) / lasted)
        costs = {feed.name: _cost(all_of, folder, feed, f"3.{next(versions)}.0") for feed in feeds}
    lines = [
        f"**Pushes** of next versions, 300 KB (target: p95 at most {PUSH_AT_MOST:g} times that of embedded)",
        "",
        "| clients | nodes | per second | median | p95 | longest | p95, of embedded |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (what, name), took in times.items():
        ratio = spread(took)[1] / spread(times[what, EMBEDDED])[1]
        wanted = "" if name == EMBEDDED else f"**{ratio:.2f}**"
        lines.append(f"| {what} | {name} | {statistics.median(rates[what, name]):.0f} | {shown(took)} | {wanted} |")
    lines += [
        "",
        "| push | CPU ms | PostgreSQL | bucket | queries | to confirm | requests | syncs | PostgreSQL | bucket |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | {cost} |" for name, cost in costs.items()]
    return "\n".join(lines)


def _plans(version: str, clients: int, pushes: int) -> list[list[Request]]:
    bodies = [package(_id(number % _IDS), f"{version[:-1]}{number // _IDS}") for number in range(pushes)]
    return [
        [Request("", "/api/v2/package", "PUT", body, 201) for body in bodies[client::clients]]
        for client in range(clients)
    ]


def _cost(all_of: Engines, folder: Path, feed: Feed, version: str) -> str:
    """What one push costs by itself: cells of a row."""
    bases = [node.base for node in feed.nodes]

    def push(part: int) -> None:
        asked(bases, _plans(f"{version[:-1]}{part}.0", 1, _COUNTED_PUSHES), feed.key)

    push(1)
    before = (feed.cpu_seconds(), *all_of.cpu_seconds())
    push(2)
    cpu = [after - earlier for after, earlier in zip((feed.cpu_seconds(), *all_of.cpu_seconds()), before, strict=True)]
    requests = sum(feed.bucket_requests().values())
    with all_of.counting() as counted:
        push(3)
    requests = sum(feed.bucket_requests().values()) - requests
    with ExitStack() as stack:
        groups = (
            [pid for node in feed.nodes for pid in family(node.pid)],
            family(all_of.postgres.pid) if feed.database else [],
            family(all_of.bucket.pid) if feed.database else [],
        )
        syncs = [stack.enter_context(counting_syncs(pids, folder)) if pids else [0] for pids in groups]
        push(4)
    statements = counted.get(feed.database, Counter())
    cells = [f"{seconds / _COUNTED_PUSHES * 1000:.1f}" for seconds in cpu]
    cells += [f"{count / _COUNTED_PUSHES:.1f}" for count in (statements["queries"], statements["fleet"], requests)]
    return " | ".join([*cells, *(f"{group[0] / _COUNTED_PUSHES:.1f}" for group in syncs)])


# --- a cold restore ---------------------------------------------------------------------------------------------------


def _graph() -> list[dict[str, str]]:
    """The packages of the web graph."""
    text = (shared() / "nuget-org" / "graphs" / "web" / "packages.lock.json").read_text()
    [packages] = json.loads(text)["dependencies"].values()
    return [
        {"id": name.lower(), "version": each["resolved"].lower()}
        for name, each in packages.items()
        if "resolved" in each
    ]


def _restore() -> list[Request]:
    """What a client requests that has nothing yet, and asks for metadata as well."""
    return [
        Request("", target)
        for each in _graph()
        for target in (
            f"/v3/flatcontainer/{each['id']}/index.json",
            f"/v3/registration-gz-semver2/{each['id']}/index.json",
            f"/v3/flatcontainer/{each['id']}/{each['version']}/{each['id']}.{each['version']}.nupkg",
        )
    ]


def _cold(all_of: Engines, upstream: str) -> str:
    lines = [
        "**Cold**: what a restore of 63 packages requests, three clients at the same time",
        "",
        "| nodes | upstream requests | for one address, at most | queries | bucket requests | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    plan = _restore()
    for name, size in ((EMBEDDED, 0), ("1 node", 1), ("3 nodes", 3)):
        control(upstream, "requests", None, "DELETE")
        with all_of.feed(name, size, upstream, _LONG, key=False) as feed, all_of.counting() as counted:
            _, lasted = asked([node.base for node in feed.nodes], [plan] * 3)
            time.sleep(3)  # what is fetched ahead
            seen = json.loads(control(upstream, "requests", None, "GET"))
            requests = sum(feed.bucket_requests().values())
        queries = sum(counted.get(feed.database, Counter()).values())
        most = max(seen["counts"].values())
        lines.append(f"| {name} | {seen['total']} | {most} | {queries} | {requests} | {lasted:.1f} |")
    return "\n".join(lines)
