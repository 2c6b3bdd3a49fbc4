"""Reading with credentials against reading without: the same hot answers of one private feed, from two servers.

One allows anonymous reading, the other requires credentials; without them the latter answers with the 401 that every
NuGet client gets before each answer.
"""

import base64
import tempfile
from pathlib import Path

from benchmarks.load import Measured, Server, in_turn
from benchmarks.private import GIANT, feed, served

_PACKAGE = "/v3/flatcontainer/{id}/1.0.0/{id}.1.0.0.nupkg"


def measure(*, rounds: int, seconds: int, connections: int) -> str:
    """The table, as Markdown."""
    with feed(20, 3) as over, tempfile.TemporaryDirectory(prefix="nugetproxy-bench-") as made:
        folder = Path(made)
        closed = folder / "closed.toml"
        closed.write_text('[accounts]\nanonymous_read = "none"\n')
        small = over.ids[0].lower()
        targets = {
            "versions list": f"/v3/flatcontainer/{small}/index.json",
            "registration of 3,600 versions": f"/v3/registration-gz-semver2/{GIANT.lower()}/index.json",
            "package of 300 KB": _PACKAGE.format(id=small),
        }
        known = {"Authorization": "Basic " + base64.b64encode(f"ci:{over.key}".encode()).decode()}
        found: dict[str, dict[str, Measured]] = {}
        with served(folder, over.data, "--config", str(closed)) as (base, pid):
            for what, target in targets.items():
                servers = {
                    "open": Server(over.base + target, over.pid),
                    "known": Server(base + target, pid, known),
                    "unknown": Server(base + target, pid, is_refused=True),
                }
                found[what] = in_turn(servers, rounds=rounds, seconds=seconds, connections=connections)
    lines = [
        "| answer | without credentials, req/s | with, req/s | ratio | the 401 before it, req/s | others |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what, measured in found.items():
        free, with_them, refused = (measured[name] for name in ("open", "known", "unknown"))
        lines.append(
            f"| {what} | {free.rate:,.0f} | {with_them.rate:,.0f} | **{with_them.rate / free.rate:.2f}** "
            f"| {refused.rate:,.0f} | {max(each.others for each in measured.values()):.0%} |"
        )
    return "\n".join(lines)
