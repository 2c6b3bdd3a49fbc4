"""Advisories of our own through the whole application: pushed and mirrored ids, every resource, every reader."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nugetproxy.runtime import advisory_files
from tests.flows.private_feed import basic, opened, opened_with_lane

HIVE = "/v3/registration-gz-semver2"
OURS = "https://contoso.example/advisories/1"
PAGE = "/v3/vulnerabilities/private.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    target = tmp_path / "advisories.json"
    write(target, {"contoso.secret": "(, 2.0.0)", "serilog": "[4.0.0]"})
    return target


def write(target: Path, ranges: dict[str, str]) -> None:
    """Atomically, as everybody should."""
    page = {name: [{"url": OURS, "severity": 3, "versions": versions}] for name, versions in ranges.items()}
    half = target.with_suffix(".half")
    half.write_text(json.dumps(page))
    half.replace(target)


def severities(registration: dict[str, Any]) -> dict[str, list[str]]:
    leaves = [leaf["catalogEntry"] for page in registration["items"] for leaf in page["items"]]
    return {leaf["version"]: [each["severity"] for each in leaf.get("vulnerabilities", ())] for leaf in leaves}


async def test_they_show_in_every_resource(upstream, tmp_path, file):
    upstream.add_package("Serilog", "4.0.0")
    upstream.add_package("Serilog", "4.1.0")
    known = {"url": "https://github.com/advisories/GHSA-1", "severity": 1, "versions": "(, )"}
    upstream.gallery.advisories = {"serilog": [known]}
    settings = {"advisories": str(file), "protected_prefixes": ["Contoso."]}
    async with opened(tmp_path / "data", upstream, feed=settings) as feed:
        await feed.push("Contoso.Secret", "1.0.0")
        await feed.push("Contoso.Secret", "2.0.0")

        pages = [page["@name"] for page in await feed.json("/v3/vulnerabilities/index.json")]
        assert pages == ["private", "base", "update"]
        ours = await feed.json(PAGE)
        assert {name: rows[0]["versions"] for name, rows in ours.items()} == {
            "contoso.secret": "(, 2.0.0)",
            "serilog": "[4.0.0, 4.0.0]",
        }
        assert severities(await feed.json(f"{HIVE}/contoso.secret/index.json")) == {"1.0.0": ["3"], "2.0.0": []}
        assert severities(await feed.json(f"{HIVE}/serilog/index.json")) == {"4.0.0": ["3"], "4.1.0": []}
        page = await feed.json(f"{HIVE}/serilog/page/4.0.0/4.0.0.json")
        assert page["items"][0]["catalogEntry"]["vulnerabilities"][0]["advisoryUrl"] == OURS
        entry = await feed.json("/v3/catalog/contoso.secret/1.0.0.json")
        assert entry["vulnerabilities"] == [{"@type": "Vulnerability", "advisoryUrl": OURS, "severity": "3"}]
        found = await feed.json("/v3/query?q=serilog&semVerLevel=2.0.0")
        assert found["data"][0]["vulnerabilities"] == []
        # The older hives have no vulnerabilities, and clients that use them cannot read any.
        assert b"vulnerabilities" not in (await feed.get("/v3/registration/serilog/index.json")).body


async def test_a_change_ends_hot_answers(upstream, tmp_path, file, monkeypatch):
    monkeypatch.setattr(advisory_files, "POLL_SECONDS", 0.02)
    upstream.add_package("Serilog", "4.0.0")
    sections = {"feed": {"advisories": str(file), "protected_prefixes": ["Contoso."]}}
    async with opened_with_lane(tmp_path / "data", upstream, **sections) as feed:
        path = f"{HIVE}/serilog/index.json"
        for _ in range(2):
            assert severities(await feed.json(path)) == {"4.0.0": ["3"]}
        write(file, {"contoso.secret": "(, 2.0.0)"})
        async with asyncio.timeout(20):
            while severities(await feed.json(path)) != {"4.0.0": []}:
                await asyncio.sleep(0.01)
        assert severities(await feed.json(path)) == {"4.0.0": []}
        assert list(await feed.json(PAGE)) == ["contoso.secret"]


async def test_names_of_pushed_packages_are_for_their_readers_only(upstream, tmp_path, file):
    """
    Whoever asks first: neither gets the other's page, hot or not.
    """
    upstream.add_package("Serilog", "4.0.0")
    write(file, {"contoso.next": "(, )", "fabrikam.tool": "(, )", "serilog": "(, )"})
    sections = {
        "feed": {"advisories": str(file), "protected_prefixes": ["Contoso."]},
        "accounts": {"anonymous_read": "mirrored"},
        "hosting": {"allowed_ids": ["Fabrikam.*"]},
    }
    async with opened_with_lane(tmp_path / "data", upstream, **sections) as feed:
        await feed.user("dave", password="long enough for a password")
        await feed.push("Fabrikam.Tool", "1.0.0")
        reader = basic("dave", "long enough for a password")
        for _ in range(3):
            assert sorted(await feed.json(PAGE, reader)) == ["contoso.next", "fabrikam.tool", "serilog"]
            assert sorted(await feed.json(PAGE)) == ["serilog"]


async def test_rules_of_the_policy_know_them(upstream, tmp_path, file):
    upstream.add_package("Serilog", "4.0.0")
    upstream.add_package("Serilog", "4.1.0")
    settings = {
        "feed": {"advisories": str(file)},
        "policy": {"rule": [{"name": "known", "action": "block", "severity": "critical"}]},
    }
    async with opened(tmp_path / "data", upstream, **settings) as feed:
        assert (await feed.json("/v3/flatcontainer/serilog/index.json"))["versions"] == ["4.1.0"]
        refused = await feed.get("/v3/flatcontainer/serilog/4.0.0/serilog.4.0.0.nupkg")
        assert (refused.status, OURS in refused.reason) == (403, True)
        assert list(await feed.json(PAGE)) == ["contoso.secret", "serilog"]
        assert "published" not in (await feed.json(PAGE))["serilog"][0]


def test_a_server_does_not_start_with_a_broken_file(tmp_path):
    broken = tmp_path / "advisories.json"
    broken.write_text('{"Contoso.A": [{"url": "https://c.example", "severity": 9, "versions": "(, )"}]}')
    environ = {"PATH": os.environ["PATH"], "NUGETPROXY_FEED__ADVISORIES": str(broken)}
    command = [sys.executable, "-m", "nugetproxy", "serve", "--offline", "--data", str(tmp_path / "data")]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 78
    assert f"feed.advisories: {broken}: " in ended.stderr
    assert 'Contoso.A: expected "severity" to be 0 (low), 1, 2 or 3 (critical)' in ended.stderr
