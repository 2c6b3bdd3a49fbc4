"""`dotnet restore` of real project graphs through the server: cold, warm, locked, audited, through faults, offline."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.deployment import serve
from tests.clients.kit import Workplace
from tests.serving import Server
from tests.standin import StandIn

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def nupkgs(requests: dict[str, int]) -> dict[str, int]:
    return {path: count for path, count in requests.items() if path.endswith(".nupkg")}


@pytest.mark.parametrize("graph", ["web", "legacy"])
def test_a_warm_restore_asks_upstream_for_no_package(
    graph: str, restore: Callable[..., str], nuget_org: StandIn
) -> None:
    """
    Cold: each package is fetched exactly once. Warm: none, and the graph's lock file is still valid.
    """
    restore(graph, "--locked-mode")
    cold = nupkgs(nuget_org.requests())
    assert cold
    assert set(cold.values()) == {1}

    nuget_org.forget()
    restore(graph, "--locked-mode")
    assert nupkgs(nuget_org.requests()) == {}


def test_the_advisories_of_a_vulnerable_package_show(restore: Callable[..., str]) -> None:
    """
    NuGetAudit works through the server: Newtonsoft.Json 12.0.1 is reported with its advisory.
    """
    output = restore("legacy")
    assert "NU1903" in output
    assert "Newtonsoft.Json" in output
    assert "GHSA-5crp-9r3c-p9vr" in output


def test_offline_mode_opens_no_upstream_connection(
    tmp_path: Path, restore: Callable[..., str], server: Server, nuget_org: StandIn, workplace: Workplace
) -> None:
    """
    What was restored once is restored offline, audit included, without one request to the upstream.
    """
    restore("web", "--locked-mode")
    restore("legacy")
    server.stop()
    nuget_org.forget()
    with serve(server.data, "--offline", upstream=nuget_org.url, port=server.port):
        restore("web", "--locked-mode")
        assert "GHSA-5crp-9r3c-p9vr" in restore("legacy")
    assert nuget_org.requests() == {}


def test_a_warm_restore_survives_a_dead_upstream(
    restore: Callable[..., str], server: Server, nuget_org: StandIn
) -> None:
    """
    Online mode, upstream down: the same restore works from stored content, also after a restart of the server.
    """
    restore("web", "--locked-mode")
    nuget_org.die()
    restore("web", "--locked-mode")
    server.stop()
    server.start()
    restore("web", "--locked-mode")


def test_a_warm_restore_survives_a_silent_upstream(restore: Callable[..., str], nuget_org: StandIn) -> None:
    """
    An upstream that accepts connections and never answers is worse than one that is down, but restores still work.
    """
    restore("web", "--locked-mode")
    nuget_org.faults({"match": "", "kind": "silent", "times": 100_000})
    restore("web", "--locked-mode")


def test_an_upstream_killed_half_way_is_bridged(restore: Callable[..., str], nuget_org: StandIn) -> None:
    """
    The upstream goes down in the middle of a cold restore and is back seconds later: the client does not notice.
    """
    nuget_org.settings(latency_ms=50)
    stop = threading.Event()

    def blink() -> None:
        while not stop.is_set() and sum(nupkgs(nuget_org.requests()).values()) < 15:
            time.sleep(0.02)
        nuget_org.die()
        stop.wait(4)
        nuget_org.start()

    blinking = threading.Thread(target=blink)
    blinking.start()
    try:
        restore("web", "--locked-mode")
    finally:
        stop.set()
        blinking.join()


PACKAGES, INDEXES = r"\.nupkg$", r"index\.json$"


@pytest.mark.parametrize(
    "faults",
    [
        [
            {"match": PACKAGES, "kind": "truncate", "times": 10, "after": 3000},
            {"match": INDEXES, "kind": "status", "status": 503, "times": 10},
        ],
        [
            {"match": PACKAGES, "kind": "reset-body", "times": 10, "after": 3000},
            {"match": r"v3-flatcontainer/.*index\.json$", "kind": "html", "times": 3},
        ],
        [{"match": PACKAGES, "kind": "corrupt", "times": 3}, {"match": INDEXES, "kind": "gzip", "times": 20}],
        [
            {"match": PACKAGES, "kind": "wrong-length", "times": 5, "by": 10},
            {"match": INDEXES, "kind": "chunked", "times": 20},
        ],
        [{"match": PACKAGES, "kind": "status", "status": 429, "retry_after": 1, "times": 5}],
        [{"match": PACKAGES, "kind": "chunked", "times": 20}],
    ],
    ids=lambda faults: "-".join(str(fault.get("status", fault["kind"])) for fault in faults),
)
def test_a_cold_restore_gets_through_passing_faults(
    faults: list[dict[str, object]], restore: Callable[..., str], nuget_org: StandIn
) -> None:
    """
    Temporary failures are retried by the server while the client's request is held: the lock file's hashes match.
    """
    nuget_org.faults(*faults)
    restore("web", "--locked-mode")


def test_a_floating_version_takes_the_newest_and_offline_the_newest_kept(
    tmp_path: Path, server: Server, nuget_org: StandIn, workplace: Workplace
) -> None:
    """
    `13.*` is the newest of the upstream's list when online; offline it is the newest that can be downloaded.
    """
    chosen = re.compile(r'"Newtonsoft\.Json/([^"]+)"')

    def resolved(version: str) -> str:
        workplace.forget()
        project = workplace.project("floating", ("Newtonsoft.Json", version), audit=False)
        workplace.dotnet("restore", "--force", cwd=project).must_succeed()
        found = chosen.search((project / "obj" / "project.assets.json").read_text())
        assert found is not None
        return found[1]

    assert resolved("13.0.1") == "13.0.1"
    server.stop()
    with serve(server.data, "--offline", upstream=nuget_org.url, port=server.port):
        assert resolved("13.*") == "13.0.1"
    server.start()
    assert resolved("13.*") == "13.0.4"


def test_the_net_core_3_1_sdk_restores(workplace: Workplace, nuget_org: StandIn) -> None:
    """
    The oldest supported SDK restores through the server, cold and warm.
    """
    graph = workplace.graph("legacy")
    project = graph / "legacy.csproj"
    # This SDK has no reference assemblies for netstandard1.6, and its lock files are of an older form.
    project.write_text(
        project.read_text()
        .replace("netstandard1.6;", "")
        .replace(">true</RestorePackagesWith", ">false</RestorePackagesWith")
    )
    (graph / "packages.lock.json").unlink()
    workplace.dotnet31("restore", cwd=graph).must_succeed()
    assert set(nupkgs(nuget_org.requests()).values()) == {1}
    nuget_org.forget()
    workplace.forget()
    workplace.dotnet31("restore", "--force", cwd=graph).must_succeed()
    assert nupkgs(nuget_org.requests()) == {}
