"""Sixteen clients repeat requests that are expensive to refuse, check or render, beside a trickle of ordinary requests.

The server has one worker on one core. All clients run on the other core, the sixteen with the lowest priority, so that
the times are the server's. Before each attack the same trickle is measured without it.
"""

import contextlib
import http.client
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from benchmarks.attacks import FIRST, HEAVY_VERSIONS, Attack, attacks, heavy
from benchmarks.load import CLIENT_HEADERS
from benchmarks.private import Feed, feed
from benchmarks.processes import LOAD_CORE, fetch

ATTACKERS: Final = 16
EVERY: Final = 0.01
"""Seconds between two ordinary requests."""

KINDS: Final = {
    "/health/ready": "/health/ready",
    "versions list, hot": "/v3/flatcontainer/{id}/index.json",
    "registration, hot": "/v3/registration-gz-semver2/{id}/index.json",
    "registration, not hot": "/v3/registration-gz-semver2/{id}/index.json?{n}",
}
"""Targets of the ordinary requests, by kind; `{n}` is replaced by a new number each time."""

# The goal: a 99th percentile within this many times the quiet one, or this many seconds.
TIMES: Final = 3.0
LONGEST: Final = 0.050

# Seconds; the client of the SDK waits for five minutes.
_PATIENCE: Final = 280


@dataclass(frozen=True)
class Outcome:
    """Seconds that the trickle's requests took, by kind; answers to the attack by status; the loop's
    largest lag in seconds, as the upper bound of its bucket.
    """

    times: dict[str, list[float]]
    answers: Counter[int | str]
    lag: float


def measure(*, seconds: int, only: str = "") -> str:
    """A table as Markdown."""
    # Each failed login seems to come from another network: those from one network wait for each other.
    environment = {"NUGETPROXY_SERVER__TRUSTED_PROXIES": '["127.0.0.1"]'}
    largest = [heavy(number) for number in range(HEAVY_VERSIONS)]
    rows = []
    with feed(200, 20, further=largest, environment=environment) as over:
        for attack in attacks(over):
            if only in attack.name:
                trickle(over, 1)
                rows.append(_row(attack, seconds, run(over, seconds, None), run(over, seconds, attack)))
    return "\n".join(
        (
            f"{ATTACKERS} clients, {seconds} seconds for each attack. Quiet → under attack; bold: above the goal.",
            "",
            f"| attack | answered | largest lag | {' | '.join(f'{kind}: p99' for kind in KINDS)} |",
            f"|{' --- |' * (3 + len(KINDS))}",
            *rows,
        )
    )


def _row(attack: Attack, seconds: int, quiet: Outcome, under: Outcome) -> str:
    status, count = under.answers.most_common(1)[0]
    cells = [f"{count / seconds:.0f}/s: {status}", f"{_ms(quiet.lag)} → {_ms(under.lag)}"]
    for kind, times in quiet.times.items():
        before, after = _p99(times), _p99(under.times[kind])
        mark = "" if after <= max(TIMES * before, LONGEST) else "**"
        cells.append(f"{mark}{_ms(before)} → {_ms(after)}{mark}")
    return f"| {attack.name} | {' | '.join(cells)} |"


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def run(over: Feed, seconds: int, attack: Attack | None) -> Outcome:
    """The trickle for this many seconds, beside the attack if there is one."""
    answers: Counter[int | str] = Counter()
    if attack is None:
        before = _buckets(over)
        times = trickle(over, seconds)
    else:
        with attacking(over, attack, seconds + 2) as lines:
            time.sleep(2)  # until all have started
            before = _buckets(over)
            times = trickle(over, seconds)
            lag = _lag_between(before, _buckets(over))
            for line in lines:
                answers.update(line.recv())
        return Outcome(times, answers, lag)
    return Outcome(times, answers, _lag_between(before, _buckets(over)))


def trickle(over: Feed, seconds: float) -> dict[str, list[float]]:
    """Requests of all kinds in turn, from a separate process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_ask, args=(over, seconds, theirs), daemon=True)
    process.start()
    result = ours.recv()
    process.join()
    if isinstance(result, str):
        raise RuntimeError(result)  # noqa: TRY004 - it is an error message
    times: dict[str, list[float]] = result
    return times


def _ask(over: Feed, seconds: float, line: Connection) -> None:
    _to_the_load_core()
    try:
        connection = http.client.HTTPConnection(over.base.removeprefix("http://"), timeout=120)
        times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        kinds, ends, number = list(KINDS.items()), time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            kind, target = kinds[number % len(kinds)]
            began = time.perf_counter()
            connection.request("GET", target.format(id=over.ids[0].lower(), n=number), headers=CLIENT_HEADERS)
            answer = connection.getresponse()
            answer.read()
            times[kind].append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(f"{target}: {answer.status} {answer.reason}")
            number += 1
            time.sleep(EVERY)
        line.send(times)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        line.send(f"{type(error).__name__}: {error}")


@contextmanager
def attacking(over: Feed, attack: Attack, seconds: float) -> Iterator[list[Connection]]:
    """Connections to the attacking processes; each sends its count of answers when it ends."""
    context = multiprocessing.get_context("fork")
    lines, processes = [], []
    for number in range(ATTACKERS):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (over, attack, seconds, number, theirs)
        processes.append(context.Process(target=_attack, args=arguments, daemon=True))
        lines.append(ours)
    for process in processes:
        process.start()
    try:
        yield lines
    finally:
        for process in processes:
            process.kill()
            process.join()


def _attack(over: Feed, attack: Attack, seconds: float, number: int, line: Connection) -> None:
    _to_the_load_core()
    os.nice(19)
    answers: Counter[int | str] = Counter()
    ends, at = time.monotonic() + seconds, FIRST + number * 10_000 + int(time.time()) % 50 * 160_000
    connection = http.client.HTTPConnection(over.base.removeprefix("http://"), timeout=_PATIENCE)
    while time.monotonic() < ends:
        headers, body = attack.make(at)
        at += 1
        try:
            connection.request(attack.method, attack.target.format(n=at), body, {**CLIENT_HEADERS, **headers})
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            answers[type(error).__name__] += 1
    line.send(answers)


def _to_the_load_core() -> None:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {int(LOAD_CORE)})


def _buckets(over: Feed) -> dict[float, float]:
    """The cumulative counts of the loop's lag, by upper bound."""
    found = {}
    for line in fetch(f"{over.base}/metrics").decode().splitlines():
        if line.startswith("nugetproxy_loop_lag_seconds_bucket"):
            bound, _, count = line.partition('le="')[2].partition('"} ')
            found[float(bound)] = float(count)
    return found


def _lag_between(before: Mapping[float, float], after: Mapping[float, float]) -> float:
    counts = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    return next(bound for bound, count in counts.items() if count >= counts[max(counts)])
