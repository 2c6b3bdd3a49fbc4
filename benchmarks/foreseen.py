"""What foresight saves a cold `dotnet restore`, and what it costs: seconds, and bytes sent by the upstream.

Direct, with foresight and without follow each other in every round, so that what else the machine does affects all of
them; the ratios are medians of the ratios of each round.
"""

import json
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import OURS, control, nugetproxy, standing_in
from benchmarks.restore import FAR, restore, sdk_environment

NETWORKS = {"50 ms": FAR, "50 ms, 50 KB/s a connection": {**FAR, "bytes_per_s": 50_000}}
CASES = (("Made.Chain00", "50 ms"), ("graphs/web", "50 ms"), ("graphs/web", "50 ms, 50 KB/s a connection"))
WAYS = ("direct", "off", "on")


@dataclass(frozen=True, slots=True)
class Run:
    """One restore: its seconds, and the bytes that the upstream sent."""

    seconds: float
    sent: int


def measure(*, rounds: int, command: str = OURS) -> str:
    """A table: medians in seconds, ratios, and bytes with foresight against those without it."""
    lines = [
        "| restored, cold | direct | foresight off | foresight on | on : direct | on : off | bytes, on : off |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as scratch:
        folder = Path(scratch)
        sdk = sdk_environment(folder)
        for graph, network in CASES:
            runs: dict[str, list[Run]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    place = folder / "round"
                    place.mkdir()
                    runs[way].append(_run(place, graph, network, way, sdk, command))
                    shutil.rmtree(place)
            lines.append(_row(f"{graph}, {network}", runs))
    return "\n".join(lines)


def _run(place: Path, graph: str, network: str, way: str, sdk: dict[str, str], command: str) -> Run:
    with standing_in(place) as upstream:
        control(upstream, "settings", NETWORKS[network])
        if way == "direct":
            seconds = restore(place / "timed", graph, f"{upstream}/v3/index.json", sdk)
        else:
            setting = {"NUGETPROXY_MIRRORING__FORESIGHT": str(way == "on").lower()}
            with nugetproxy(place, upstream, command=command, environment=setting) as (base, _):
                seconds = restore(place / "timed", graph, f"{base}/v3/index.json", sdk)
        return Run(seconds, json.loads(control(upstream, "requests", None, "GET"))["bytes"])


def _row(what: str, runs: dict[str, list[Run]]) -> str:
    seconds = [f"{statistics.median(run.seconds for run in runs[way]):.1f} s" for way in WAYS]
    ratios = [_ratio([(on.seconds, other.seconds) for on, other in zip(runs["on"], runs[way], strict=True)])
              for way in ("direct", "off")]  # fmt: skip
    sent = _ratio([(on.sent, off.sent) for on, off in zip(runs["on"], runs["off"], strict=True)])
    return "| " + " | ".join([what, *seconds, *ratios, sent]) + " |"


def _ratio(pairs: list[tuple[float, float]]) -> str:
    return f"{statistics.median(one / other for one, other in pairs):.2f}"
