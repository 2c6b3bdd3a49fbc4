"""Every kind of rule before the official clients: what they choose instead, and what they print."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.web.telemetry.access import AccessLine, AccessLog
from tests.builders import make_nupkg
from tests.clients.deployment import not_in_fleet
from tests.clients.kit import Run, Workplace
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, running
from tests.shared import shared

pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(600),
    not_in_fleet("the application is in the process of the test"),
]

AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
SIGNED = "Microsoft.Extensions.Logging.Abstractions"
"""An id with a real version 2.0.0, which nuget.org has signed, and which has no dependencies."""
FLAW = ({"@id": "x", "advisoryUrl": "https://example.org/1", "severity": "2"},)

CONDITIONS: dict[str, dict[str, Any]] = {
    "Blocked": {"versions": "[9.0,)"},
    "Young": {"younger_than": "7d"},
    "Flawed": {"severity": "high"},
    "Copyleft": {"licences": ["GPL-3.0-only"]},
    SIGNED: {"unsigned": True},
    "Scripted": {"install_scripts": True},
    "NewHere": {"first_seen_within": "7d"},
    "Newtonsoft.Jsom": {"looks_like": ["Newtonsoft.Json"]},
    "Owned": {"owners": ["mallory"]},
}
"""By the id that each is about. The rule of an id is named after it."""

RULES = {"rule": [{"name": f"no-{name}", "action": "block", "ids": [name]} | rule for name, rule in CONDITIONS.items()]}
CHOSEN = {f"{name}/1.0.0" for name in ("Blocked", "Young", "Flawed", "Copyleft", "Scripted")} | {f"{SIGNED}/2.0.0"}
"""The newest allowed versions of the ids that have one; version 9.0.0 of each is withheld."""

ABSENT = ("NewHere", "Newtonsoft.Jsom", "Owned")
"""Ids of which everything is withheld."""


@pytest.fixture
def packages(upstream: FakeUpstream) -> FakeUpstream:
    facts: dict[str, dict[str, Any]] = {"Young": {"published": AN_HOUR_AGO}, "Flawed": {"vulnerabilities": FLAW}}
    for name in CONDITIONS:
        scripts = {"tools/install.ps1": b"x"} if name == "Scripted" else {}
        upstream.add_package(make_nupkg(name, "9.0.0", files=scripts), **facts.get(name, {}))
        if name != SIGNED:
            upstream.add_package(name, "1.0.0", licence="MIT")
    upstream.gallery.change("Copyleft", "9.0.0", licence="GPL-3.0-only")
    upstream.gallery.owners = {"owned": ["mallory"]}
    # As it is for nuget.org without HTTPS: its certificate is trusted without being published.
    resources = upstream.gallery.resources
    upstream.gallery.resources = [each for each in resources if not each[0].startswith("RepositorySignatures")]
    real = shared() / "nuget-org" / "packages" / SIGNED.lower() / "2.0.0" / f"{SIGNED.lower()}.2.0.0.nupkg"
    upstream.add_package(real.read_bytes())
    upstream.add_package("All", "1.0.0", dependencies=[(name, "1.0.0") for name in CONDITIONS if name not in ABSENT])
    return upstream


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[AccessLine]:
    """The requests that were answered."""
    lines: list[AccessLine] = []
    monkeypatch.setattr(AccessLog, "record", lambda _, line: lines.append(line))
    return lines


def workplace(mirror: Mirror, tmp_path: Path, name: str, path: str = "/v3/index.json") -> Workplace:
    return Workplace(tmp_path / name, f"{mirror.base}{path}")


def resolved(project: Path) -> set[str]:
    """What a restore has chosen, even if it has failed."""
    return set(json.loads((project / "obj" / "project.assets.json").read_text())["libraries"])


def assert_named(output: str, *names: str) -> None:
    missing = [name for name in names if f"withheld by the policy rule 'no-{name}'" not in output]
    assert not missing, output


async def restored_everything(
    mirror: Mirror, tmp_path: Path, name: str, chosen: Set[str] = CHOSEN, named: Collection[str] = CONDITIONS.keys()
) -> None:
    """With the SDK, which fails because some ids have no allowed version. `named`: of whose rules it tells."""
    place = workplace(mirror, tmp_path, name)
    project = place.project("app", *((each, "*") for each in CONDITIONS), audit=False)
    output = (await asyncio.to_thread(place.dotnet, "restore", cwd=project)).must_fail().output

    assert resolved(project) == chosen, output
    assert_named(output, *named)


async def installed_everything(mirror: Mirror, tmp_path: Path, name: str, path: str) -> None:
    """With nuget.exe: the newest allowed versions as dependencies, and the other ids by name."""
    place = workplace(mirror, tmp_path, name, path)

    def run() -> tuple[Run, Run]:
        known = place.nuget_exe("install", "All", "-DependencyVersion", "Highest", "-OutputDirectory", "out")
        unknown = place.old_project("old", *((each, "1.0.0") for each in ABSENT))
        return known, place.nuget_exe("install", str(unknown), "-OutputDirectory", "out")

    known, unknown = await asyncio.to_thread(run)
    folders = {each.name for each in (place.folder / "out").iterdir()}
    assert folders == {each.replace("/", ".") for each in CHOSEN} | {"All.1.0.0"}, known.output
    assert_named(known.must_succeed().output, *(each for each in CONDITIONS if each not in ABSENT))
    assert_named(unknown.must_fail().output, *ABSENT)


async def test_every_rule_with_every_client(tmp_path, packages, asked):
    async with running(tmp_path / "data", packages, policy=RULES) as mirror:
        await restored_everything(mirror, tmp_path, "sdk")
        assert max(Counter(line.path for line in asked if line.resource != "service_index").values()) <= 3
        await installed_everything(mirror, tmp_path, "old-v3", "/v3/index.json")
        await installed_everything(mirror, tmp_path, "old-v2", "/api/v2")
    async with running(tmp_path / "data", packages) as mirror:
        for name in CONDITIONS:
            lower = name.lower()
            assert (await mirror.get(f"/v3/flatcontainer/{lower}/9.0.0/{lower}.9.0.0.nupkg")).status == 200
    await packages.die()
    async with running(tmp_path / "data", packages, policy=RULES, offline=True) as mirror:
        # Rules about age do not apply to what is kept.
        kept = {"Young/9.0.0", "NewHere/9.0.0"}
        named = CONDITIONS.keys() - {"Young", "NewHere"}
        await restored_everything(mirror, tmp_path, "sdk-offline", CHOSEN - {"Young/1.0.0"} | kept, named)


async def test_a_lock_file_that_names_withheld_versions_fails_without_retries(tmp_path, packages, asked):
    """
    Two are withheld from the lists, two are found when they are downloaded for the first time. Each package is asked
    for once, and its list again after such a download, once or twice, as the client's tasks meet: a client that retries
    asks six times, a second apart.
    """
    locked = ("Blocked", "Young", "Scripted", SIGNED)
    async with running(tmp_path / "data", packages, policy=RULES) as mirror:
        place = workplace(mirror, tmp_path, "work")
        project = place.project("app", *((name, "[9.0.0]") for name in locked), audit=False)
        (project / "packages.lock.json").write_text(lock_file(*locked))

        output = (await asyncio.to_thread(place.dotnet, "restore", "--locked-mode", cwd=project)).must_fail().output

    assert_named(output, *locked)
    for name in locked:
        assert f"nugetproxy explain {name} 9.0.0".lower() in output.lower()
    assert "Retrying" not in output
    times = Counter(line.path for line in asked)
    lists = {name: times.pop(f"/v3/flatcontainer/{name.lower()}/index.json") for name in locked}
    downloads = {f"{name.lower()}/9.0.0/{name.lower()}.9.0.0.nupkg" for name in (SIGNED, "Scripted")}
    assert times == Counter(["/v3/index.json", *(f"/v3/flatcontainer/{path}" for path in downloads)])
    assert all(number in ((2, 3) if name in (SIGNED, "Scripted") else (1,)) for name, number in lists.items()), lists


async def test_commands_about_outdated_and_vulnerable_packages(tmp_path, packages):
    async with running(tmp_path / "data", packages, policy=RULES) as mirror:
        packages.gallery.advisories = {
            "flawed": [{"severity": 1, "url": "https://example.org/2", "versions": "(, 2.0.0)"}]
        }
        place = workplace(mirror, tmp_path, "work")
        project = place.project("app", *((each, "1.0.0") for each in ("Blocked", "Young", "Flawed", "Copyleft")))

        def commands() -> list[str]:
            place.dotnet("restore", cwd=project).must_succeed()
            listed = (place.dotnet("list", "package", what, cwd=project) for what in ("--outdated", "--vulnerable"))
            return [each.must_succeed().output for each in listed]

        outdated, vulnerable = await asyncio.to_thread(commands)

    assert "has no updates given the current sources" in outdated
    assert "https://example.org/2" in vulnerable


def lock_file(*names: str) -> str:
    """It locks version 9.0.0 of each."""
    locked = {"type": "Direct", "requested": "[9.0.0, 9.0.0]", "resolved": "9.0.0", "contentHash": "A" * 86 + "=="}
    return json.dumps({"version": 1, "dependencies": {"net10.0": dict.fromkeys(names, locked)}})
