"""Reads while packages are pushed: 95 requests that read for 5 that push, against the same reads alone.

Each push invalidates hot answers in every process, so this shows reads that cannot rely on them.
"""

import random
from collections.abc import Iterator
from typing import Final

from benchmarks.private import Feed, Request, asked, feed, package, shown, spread

CLIENTS: Final = 8
PUSHES: Final = 0.05
# Wanted: see docs/performance.md.
SEARCH_SECONDS: Final = 0.020


def measure(*, ids: int, versions: int, requests: int, rounds: int) -> str:
    """The table, as Markdown. `requests` from each of eight clients, per round."""
    alone: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    rates: dict[bool, list[float]] = {False: [], True: []}
    with feed(ids, versions) as over:
        for number in range(rounds):
            for is_mixed, times in ((False, alone), (True, beside)):
                plans = [
                    list(_plan(over, requests, f"{number}.{client}", is_mixed=is_mixed)) for client in range(CLIENTS)
                ]
                timed, lasted = asked(over.base, plans, over.key)
                for kind, seconds in timed:
                    times.setdefault(kind, []).append(seconds)
                rates[is_mixed].append(len(timed) / lasted)
    lines = [
        f"{ids * versions:,} versions hosted, {CLIENTS} clients at once, {rounds} rounds of {requests * CLIENTS:,}.",
        f"Requests per second: {max(rates[False]):.0f} with reads only, {max(rates[True]):.0f} with pushes.",
        "",
        "| request | alone: median | p95 | longest | with pushes: median | p95 | longest | p95, ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in sorted(beside, key=lambda kind: (kind == "push", kind)):
        before = shown(alone[kind]) if kind in alone else " | | "
        ratio = f"{spread(beside[kind])[1] / spread(alone[kind])[1]:.1f}" if kind in alone else ""
        lines.append(f"| {kind} | {before} | {shown(beside[kind])} | {ratio} |")
    return "\n".join(lines)


def _plan(over: Feed, requests: int, name: str, *, is_mixed: bool) -> Iterator[Request]:
    """The requests of a restore, for ids of which some are requested far more often, and occasionally a search."""
    choose = random.Random(name)
    for number in range(requests):
        if is_mixed and choose.random() < PUSHES:
            pushed = package(choose.choice(over.ids), f"9.{name.replace('.', '')}.{number}")
            yield Request("push", "/api/v2/package", "PUT", pushed, 201)
            continue
        wanted = over.ids[min(len(over.ids) - 1, int(choose.paretovariate(0.5)) - 1)].lower()
        version = f"1.{choose.randrange(over.versions)}.0"
        kind, target = choose.choices(
            (
                ("versions list", f"/v3/flatcontainer/{wanted}/index.json"),
                ("registration", f"/v3/registration-gz-semver2/{wanted}/index.json"),
                (".nupkg of 300 KB", f"/v3/flatcontainer/{wanted}/{version}/{wanted}.{version}.nupkg"),
                ("search", f"/v3/query?q={wanted.split('.')[1]}%20{wanted[-2:]}&semVerLevel=2.0.0"),
            ),
            (40, 30, 25, 5),
        )[0]
        yield Request(kind, target)
