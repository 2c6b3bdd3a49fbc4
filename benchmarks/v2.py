"""Documents built from hosted versions: V2 lists and registrations, hot against nginx with the same bytes, and not hot.

"First" is the first request after a start; "after a push" is one after any change of the feed, which invalidates hot
answers in every process.
"""

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.load import CLIENT_HEADERS, Measured, Server, in_turn
from benchmarks.private import (
    BIG,
    BIG_VERSIONS,
    GIANT,
    GIANT_VERSIONS,
    Feed,
    Request,
    asked,
    feed,
    served,
)
from benchmarks.processes import static_nginx

_AGAIN: Final = 30


def measure(*, ids: int, versions: int, rounds: int, seconds: int, connections: int) -> str:
    """The table, as Markdown."""
    with feed(ids, versions) as over, tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        targets = _targets(over)
        answers = [_fetched(over.base + target) for target in targets.values()]
        again = {what: _after_a_push(over, target) for what, target in targets.items()}
        hot: dict[str, dict[str, Measured]] = {}
        with static_nginx(folder, answers) as (theirs, pid):
            for number, (what, target) in enumerate(targets.items()):
                servers = {"nginx": Server(f"{theirs}/{number}", pid), "us": Server(over.base + target, over.pid)}
                hot[what] = in_turn(servers, rounds=rounds, seconds=seconds, connections=connections)
        first = {what: _first(folder, over.data, target) for what, target in targets.items()}
    lines = [
        "| document | bytes sent | first | after a push | hot, req/s | nginx, the same bytes | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (what, found), (body, _) in zip(hot.items(), answers, strict=True):
        us, them = found["us"].rate, found["nginx"].rate
        lines.append(
            f"| {what} | {len(body):,} | {first[what] * 1000:.0f} ms | {again[what] * 1000:.1f} ms "
            f"| {us:,.0f} | {them:,.0f} | **{us / them:.2f}** |"
        )
    return "\n".join(lines)


def _targets(over: Feed) -> dict[str, str]:
    small, giant = over.ids[0].lower(), GIANT.lower()
    hive = "/v3/registration-gz-semver2"
    last = GIANT_VERSIONS - 1
    return {
        f"V2 list of {BIG_VERSIONS} versions": f"/api/v2/FindPackagesById()?id='{BIG}'&semVerLevel=2.0.0",
        f"V2 list of {over.versions} versions": f"/api/v2/FindPackagesById()?id='{over.ids[0]}'&semVerLevel=2.0.0",
        f"registration of {over.versions} versions": f"{hive}/{small}/index.json",
        f"registration of {GIANT_VERSIONS:,} versions": f"{hive}/{giant}/index.json",
        "its last page": f"{hive}/{giant}/page/1.{last - last % 64}.0/1.{last}.0.json",
        f"versions list of {GIANT_VERSIONS:,}": f"/v3/flatcontainer/{giant}/index.json",
    }


def _fetched(url: str) -> tuple[bytes, str]:
    """The body as sent, and its encoding."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=CLIENT_HEADERS), timeout=60) as answer:
        return answer.read(), answer.headers.get("Content-Encoding", "")


def _after_a_push(over: Feed, target: str) -> float:
    def once() -> float:
        over.changed()
        return asked(over.base, [[Request("", target)]])[0][0][1]

    return statistics.median(_each(_AGAIN, once))


def _first(folder: Path, data: Path, target: str) -> float:
    def once() -> float:
        with served(folder, data) as (base, _):
            began = time.perf_counter()
            _fetched(base + target)
            return time.perf_counter() - began

    return statistics.median(_each(3, once))


def _each(times: int, measured: Callable[[], float]) -> list[float]:
    return [measured() for _ in range(times)]
