"""Pushes into a feed of a hundred thousand versions, compared with writing and syncing files of the same size."""

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from benchmarks.private import Request, asked, feed, package, shown, spread

# Wanted: see docs/performance.md.
PUSH_SECONDS: Final = 0.100
CROWD: Final = 8


def measure(*, ids: int, versions: int, pushes: int, rounds: int) -> str:
    """The table, as Markdown: `pushes` per round, by one client and by eight in parallel, new ids and next versions."""
    found: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with feed(ids, versions) as over, tempfile.TemporaryDirectory(dir=over.data) as beside:
        for number in range(rounds):
            for what, clients, names in (
                ("next versions, one client", 1, over.ids),
                (f"next versions, {CROWD} clients", CROWD, over.ids),
                (f"new ids, {CROWD} clients", CROWD, tuple(f"Contoso.New{number}.Id{n}" for n in range(pushes))),
            ):
                version = f"{2 + number}.{clients}.0"
                bodies = [package(name, version) for name in names[:pushes]]
                plans = [
                    [Request(what, "/api/v2/package", "PUT", body, 201) for body in bodies[client::clients]]
                    for client in range(clients)
                ]
                timed, lasted = asked(over.base, plans, over.key)
                found.setdefault(what, []).extend(seconds for _, seconds in timed)
                rates.setdefault(what, []).append(len(timed) / lasted)
            for clients in (1, CROWD):
                what = f"synced files, {clients} at once"
                times, lasted = _write(Path(beside), package("Contoso.Raw", "1.0.0"), pushes, clients)
                found.setdefault(what, []).extend(times)
                rates.setdefault(what, []).append(len(times) / lasted)
    lines = [
        f"{ids * versions:,} versions hosted; packages of 300 KB; {rounds} rounds of {pushes}.",
        "",
        "| act | per second | median | p95 | longest | median, relative to synced files | target |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for what, times in found.items():
        is_push = not what.startswith("synced")
        raw = found[f"synced files, {CROWD if str(CROWD) in what else 1} at once"]
        ratio = f"{spread(times)[0] / spread(raw)[0]:.1f} times" if is_push else ""
        wanted = f"p95 {PUSH_SECONDS * 1000:.0f} ms" if is_push else ""
        rate = sorted(rates[what])[len(rates[what]) // 2]
        lines.append(f"| {what} | {rate:.0f} | {shown(times)} | {ratio} | {wanted} |")
    return "\n".join(lines)


def _write(folder: Path, content: bytes, count: int, threads: int) -> tuple[list[float], float]:
    """The minimum of every push: each file written, synced, renamed, and its folder synced."""
    times: list[float] = []

    def work(mine: int) -> None:
        for number in range(mine, count, threads):
            place = folder / f"{time.monotonic_ns()}-{number}"
            began = time.perf_counter()
            place.mkdir()
            with (place / "part").open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            (place / "part").rename(place / "whole")
            for each in (place, folder):
                descriptor = os.open(each, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            times.append(time.perf_counter() - began)

    running = [threading.Thread(target=work, args=(mine,)) for mine in range(threads)]
    began = time.perf_counter()
    for each in running:
        each.start()
    for each in running:
        each.join()
    return times, time.perf_counter() - began
