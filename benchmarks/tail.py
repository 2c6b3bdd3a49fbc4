"""A small long-tail benchmark: everything is stored, little of it is hot, and requests come in random order.

All packages and documents of the stand-in for nuget.org, hot memory of 10 MB, compared with nginx `proxy_cache` with
its access log; one worker each, everything in the page cache. `benchmarks/day` is the large form.
"""

import hashlib
import random
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.load import CLIENT_HEADERS
from benchmarks.mixture import Load, Wanted, closed_loop, medians, write_mixture
from benchmarks.processes import OURS, nginx, nugetproxy, shared, standing_in

HOT_MEMORY: Final = "10 MB"
FRESH: Final = "1h"
"""nginx keeps answers this long too: cached content is measured, not refreshing it."""

PASSES: Final = 20
"""How often each address is in a mixture, each pass in another order."""

WANTED: Final = {"documents": 1.1, "packages": 1.1, "mixed": 1.0}

# Paths at nginx are nuget.org's own, at ours they are ours.
_THEIRS: Final = ("/v3-flatcontainer", "/v3/registration5-gz-semver2")
_OURS: Final = ("/v3/flatcontainer", "/v3/registration-gz-semver2")


def measure(*, rounds: int, seconds: int, connections: int, command: str = OURS, seed: int = 1) -> str:
    """The table, as Markdown."""
    environment = {"NUGETPROXY_SERVER__HOT_MEMORY": HOT_MEMORY, **_fresh()}
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # nginx's worker runs as another user
        with (
            standing_in(folder) as upstream,
            nginx(folder, upstream) as (theirs, their_pid),
            nugetproxy(folder, upstream, command=command, environment=environment) as (ours, our_pid),
        ):
            rows = []
            weigh = 0
            for name, pick in (("documents", (1, 0)), ("packages", (0, 1)), ("mixed", (1, 1))):
                addresses = (_targets(_THEIRS, pick), _targets(_OURS, pick))
                weigh = max(weigh, _warm(theirs, ours, addresses))
                order = random.Random(seed)
                indices = [
                    at for _ in range(PASSES) for at in order.sample(range(len(addresses[0])), len(addresses[0]))
                ]
                mixtures = [
                    write_mixture([Wanted(targets[at]) for at in indices], folder / f"{name}-{number}.txt")
                    for number, targets in enumerate(addresses)
                ]
                runs: tuple[list[Load], list[Load]] = ([], [])
                for number in range(rounds):
                    for (base, pid), mixture, made in zip(
                        ((theirs, their_pid), (ours, our_pid)), mixtures, runs, strict=True
                    ):
                        start = number * len(indices) // max(1, rounds)
                        made.append(
                            closed_loop(base, pid, mixture, seconds=seconds, connections=connections, start=start)
                        )
                rows.append(_row(name, len(addresses[0]), *runs))
    head = (
        "| asked for | addresses | nginx, req/s | nugetproxy, req/s | ratio | rounds | wanted | CPU µs, nginx "
        "| nugetproxy |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + f"\n\nHot memory {HOT_MEMORY} of {weigh / 1e6:.0f} MB of content."


def _row(name: str, addresses: int, theirs: Sequence[Load], ours: Sequence[Load]) -> str:
    them, us = medians(theirs), medians(ours)
    each = sorted(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    costs = [f"{side.server_cpu * 1e6:,.0f} + {side.client_cpu * 1e6:,.0f}" for side in (them, us)]
    return (
        f"| {name} | {addresses} | {them.rate:,.0f} | {us.rate:,.0f} | **{us.rate / them.rate:.2f}** "
        f"| {each[0]:.2f} - {each[-1]:.2f} | {WANTED[name]:.2f} | {costs[0]} | {costs[1]} |"
    )


def _targets(roots: tuple[str, str], pick: tuple[int, int]) -> list[str]:
    """The documents of every id, or its packages, or both."""
    content, registration = roots
    found = []
    for package in sorted((shared() / "nuget-org" / "packages").iterdir()):
        if pick[0]:
            found += [f"{content}/{package.name}/index.json", f"{registration}/{package.name}/index.json"]
        if pick[1]:
            found += [
                f"{content}/{package.name}/{version.name}/{package.name}.{version.name}.nupkg"
                for version in sorted(package.iterdir())
                if version.is_dir()
            ]
    return found


def _warm(theirs: str, ours: str, addresses: tuple[list[str], list[str]]) -> int:
    """Request everything from both, twice; exits if a package differs. Returns the number of bytes of our answers."""
    size = 0
    for _ in range(2):
        size = 0
        for their_target, our_target in zip(*addresses, strict=True):
            bodies = [_body(theirs + their_target), _body(ours + our_target)]
            size += len(bodies[1])
            if our_target.endswith(".nupkg"):
                digests = {hashlib.sha256(body).hexdigest() for body in bodies}
                assert len(digests) == 1, our_target
    return size


def _body(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=CLIENT_HEADERS), timeout=60) as answer:
        body: bytes = answer.read()
        return body


def _fresh() -> dict[str, str]:
    kinds = ("VERSIONS", "REGISTRATION", "REGISTRATION_PAGE", "SERVICE_INDEX", "VULNERABILITIES", "SEARCH")
    return {f"NUGETPROXY_MIRRORING__FRESHNESS__{kind}__FRESH": FRESH for kind in kinds}
