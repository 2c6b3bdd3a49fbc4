"""The official clients behind the policy: they choose what is allowed, and tell their user what is missing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.clients.kit import Workplace
from tests.fakes.upstream import FakeUpstream
from tests.flows.mirror import Mirror, running

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

RULES = {"rule": [{"name": "cooling-off", "action": "block", "younger_than": "7d", "because": "hijacks"}]}


@pytest.fixture
async def mirror(tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[Mirror]:
    """Of Risky 1.0.0, 1.1.0 and, an hour old, 1.2.0."""
    for version in ("1.0.0", "1.1.0"):
        upstream.add_package("Risky", version)
    upstream.add_package("Risky", "1.2.0", published=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    async with running(tmp_path / "data", upstream, policy=RULES) as running_mirror:
        yield running_mirror


def workplace(mirror: Mirror, tmp_path: Path, path: str = "/v3/index.json") -> Workplace:
    return Workplace(tmp_path / "work", f"{mirror.base}{path}")


async def test_a_floating_version_takes_the_newest_allowed_one(mirror, tmp_path):
    place = workplace(mirror, tmp_path)
    project = place.project("app", ("Risky", "1.*"), audit=False)

    def commands() -> tuple[str, str]:
        restored = place.dotnet("restore", cwd=project).must_succeed().output
        return restored, place.dotnet("list", "package", "--outdated", cwd=project).must_succeed().output

    restored, outdated = await asyncio.to_thread(commands)

    assert (place.packages / "risky" / "1.1.0").is_dir()
    assert not [line for line in outdated.splitlines() if "1.2.0" in line and "withheld" not in line]
    assert "Risky 1.2.0 is withheld by the policy rule 'cooling-off'" in restored


async def test_a_lock_file_that_names_it_fails_at_once_and_says_why(mirror, tmp_path, upstream):
    place = workplace(mirror, tmp_path)
    project = place.project("app", ("Risky", "1.*"), audit=False)
    lock = project / "packages.lock.json"
    lock.write_text(
        '{"version": 1, "dependencies": {"net10.0": {"Risky": {"type": "Direct", "requested": "[1.*, )", '
        f'"resolved": "1.2.0", "contentHash": "{"A" * 86}=="}}}}}}}}'
    )

    failed = (await asyncio.to_thread(place.dotnet, "restore", "--locked-mode", cwd=project)).must_fail().output

    assert "'cooling-off'" in failed
    assert "nugetproxy explain Risky 1.2.0" in failed
    assert "Retrying" not in failed
    assert upstream.requests_for("*/risky.1.2.0.nupkg") == 0


@pytest.mark.parametrize("path", ["/v3/index.json", "/api/v2"])
async def test_old_clients_install_the_newest_allowed_version(mirror, tmp_path, path):
    place = workplace(mirror, tmp_path, path)

    ran = await asyncio.to_thread(place.nuget_exe, "install", "Risky", "-OutputDirectory", "out")

    assert "Successfully installed 'Risky 1.1.0'" in ran.must_succeed().output
    assert "WARNING: Risky 1.2.0 is withheld by the policy rule 'cooling-off'" in ran.output
